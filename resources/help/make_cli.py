#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Writes cli.md, the command-line page of the manual, from what the program itself prints for --help.
# usage: make_cli.py build/release/bin/bitwright-cli > resources/help/cli.md
import re
import subprocess
import sys


def help_of(program, *command):
    out = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True, env={"COLUMNS": "100", "LC_ALL": "C.UTF-8"})
    return out.stdout.rstrip().replace(program, "bitwright-cli")


def commands_in(text):
    """Names in the list of commands: indented lines after a heading that ends in 'ommands:'."""
    names, inside = [], False
    for line in text.splitlines():
        if re.match(r"^\S.*:$", line):
            inside = line.lower().rstrip(":").endswith("commands")
        elif inside and (match := re.match(r"^  ([a-z][a-z-]*)(\s|$)", line)):
            names.append(match.group(1))
    return names


def main():
    program = sys.argv[1]
    top = help_of(program)
    print("# Command line\n")
    print("`bitwright-cli` does everything the window does, without a display. This page is what `bitwright-cli COMMAND --help`")
    print("prints; it is made by `resources/help/make_cli.py`. Every action in the window has *Copy as command*.\n")
    print("Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n")
    print(f"```\n{top}\n```\n")
    for command in commands_in(top):
        text = help_of(program, command)
        print(f"## {command}\n\n```\n{text}\n```\n")
        for inner in commands_in(text):
            print(f"### {command} {inner}\n\n```\n{help_of(program, command, inner)}\n```\n")


main()
