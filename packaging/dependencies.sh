# SPDX-License-Identifier: GPL-3.0-or-later
# The Debian 12 packages that building, testing and running need, and a function that installs what is missing.
# Sourced by run.sh and test.sh; not for installing the program.

BUILD_PACKAGES="g++ cmake ninja-build pkg-config ccache mold
  qt6-base-dev qt6-svg-dev libqt6svg6 qt6-tools-dev qt6-l10n-tools libgl-dev libqcustomplot-dev
  libeigen3-dev libtbb-dev libhwy-dev libvulkan-dev glslc
  libsqlitecpp-dev libsqlite3-dev libcli11-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libpcre2-dev libssl-dev libcairo2-dev
  libgtest-dev libgmock-dev libbenchmark-dev
  fonts-dejavu-core mesa-vulkan-drivers"
TEST_PACKAGES="clang libclang-rt-14-dev vulkan-validationlayers sqlite3 libglpk-dev"

# ensure_packages NAME…: apt-get install of those that are not there, as root or with sudo.
ensure_packages() {
  local missing="" package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
  done
  [ -z "$missing" ] && return 0
  local become=""
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "These packages are missing and neither root nor sudo is at hand:$missing" >&2; return 1; }
    become="sudo"
  fi
  echo "Installing:$missing"
  # shellcheck disable=SC2086
  $become apt-get update -qq && $become env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
