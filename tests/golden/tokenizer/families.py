# SPDX-License-Identifier: GPL-3.0-or-later
"""The strings, vocabularies and tokenizer families that make_families.py and compare_llama_cpp.py share."""
import io
import json
import os
import random
import unicodedata

import sentencepiece
import tokenizers

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
DATA = os.path.join(ROOT, "tests/data/tokenizer/families")
TEXTS = ["calib_prose.txt", "calib_code.txt", "eval_prose.txt", "eval_code.txt"]

ATOMS = ["a", "b", "Z", "the", "The", "WORD", "camelCase", "HTTPServer", "é", "e\u0301", "É", "ß", "ſ", "İ", "ı", "Σ", "ς", "ǅ", "日本", "語", "漢字", "か", "が",
         "か\u3099", "ｱ", "ﾊﾟ", "カタカナ", "ㅎ", "한국", "\u1112\u1161\u11ab", "क्", "नमस्ते", "ا", "العربية", "עברית", "ไทย", "Ω", "\u2126", "\u212b", "Å",
         "ﬁ", "ﬃ", "ﷺ", "Ⅷ", "①", "½", "²", "㍿", "１２", "Ａｂ", "1", "23", "456", "12345", "٣٤", "३", "0x1F", "3.14", "1e-9", " ", "  ", "   ", "    ", "\n",
         "\n\n", "\r\n", "\r", "\t", "\t\t", "\u00a0", "\u3000", "\u2003", "\u2028", "\u200b", "\u0085", "\u1680", "\u200d", "\u200c", "\ufeff", "\u00ad", "'", "'s",
         "'S", "'re", "'LL", "'ve", "'d", "'T", "'m", "’s", "“x”", ".", ",", "...", "!?", "--", "—", "_", "/", "\\", "//", "a.", "$", "€", "+=", "->", "<|", "|>", "#", "@",
         "{}", "[0]", "(x)", "`", "~", "^", "|", "。", "，", "！", "「", "」", "🙂", "👩\u200d🚀", "🇩🇪", "👍🏽", "\u0301", "\u0308\u0327", "q\u0307\u0323", "\u0345",
         "\x00", "\x01", "\x1f", "\x7f", "\u0600", "\ud7ff", "\ue000", "\ufffd", "\uffff", "𝕳", "𠀀", "\U0010ffff", "▁", "▁▁", "Ġ", "Ċ", "<0x41>", "<0xFF>",
         "<s>", "</s>", "<unk>", "<|user|>", " <|user|> ", "<mask>", " <mask> ", "<tool>", "Word", "Words", "Day", "DAY", "day", "<", ">", "s>", "<s"]
BLOCKS = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF),
          (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x218F), (0x2460, 0x24FF), (0x3000, 0x30FF), (0x3200, 0x33FF), (0x4E00, 0x4EFF), (0xAC00, 0xACFF),
          (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE30, 0xFFEF), (0x10400, 0x1044F), (0x1D400, 0x1D4FF), (0x1F300, 0x1F64F), (0, 0x10FFFF)]
DEEPSEEK_LETTERS = (
    "41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F 386 388-38A 38C 38E-3A1 3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 "
    "13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 "
    "1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 212A-212D 212F-2134 "
    "2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 "
    "FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943")
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             r"\s*[\r\n]+|\s+(?!\S)|\s+").replace('\\"', '"')
CJK = "[一-龥\u0800-一가-\ud7ff]+"


def deepseek_words():
    ends = [[chr(int(end, 16)) for end in letters.split("-")] for letters in DEEPSEEK_LETTERS.split()]
    return r"\s?[" + "".join("-".join(pair) for pair in ends) + "]+"


def lines():
    for name in TEXTS:
        with open(os.path.join(ROOT, "resources/texts", name), newline="", encoding="utf-8") as file:
            yield from file.read().splitlines(keepends=True)


def strings(count=2000, seed=4):
    """Tricky strings: atoms, code points of many blocks, long runs, and prose and code with atoms thrown in."""
    rng = random.Random(seed)
    prose = [line for line in lines() if len(line) > 20]

    def code_points():
        first, last = rng.choice(BLOCKS)
        return "".join(chr(c) for c in (rng.randint(first, last) for _ in range(rng.randint(1, 12))) if not 0xD800 <= c < 0xE000)

    def text():
        line = rng.choice(prose)
        at = rng.randrange(len(line) - 5)
        return line[at:at + rng.randint(5, 50)]

    out = ["", " ", "  ", "\n", "a", "▁", "<s>"]
    while len(out) < count:
        kind = rng.random()
        if kind < 0.45:
            parts = [rng.choice(ATOMS) for _ in range(rng.randint(1, 14))]
        elif kind < 0.6:
            parts = [code_points() for _ in range(rng.randint(1, 3))]
        elif kind < 0.65:
            parts = [rng.choice(ATOMS) * rng.randint(5, 40)]
        else:
            parts = [text() if rng.random() < 0.6 else rng.choice(ATOMS) for _ in range(rng.randint(1, 4))]
        out.append("".join(parts))
    return out


def training_lines():
    rng = random.Random(5)
    yield from lines()
    for _ in range(2500):
        yield "".join(rng.choice(ATOMS[:-16]) for _ in range(rng.randint(3, 12))) + "\n"


def added(first_id, known=()):
    """Added tokens of every kind. Those of `known` have ids in the vocabulary already."""
    rows = [("<s>", {"special": True}), ("</s>", {"special": True}), ("<unk>", {"special": True}), ("<|user|>", {"special": True, "rstrip": True}),
            ("<mask>", {"special": True, "lstrip": True}), ("<tool>", {}), ("Word", {"single_word": True}), ("Day", {"normalized": True})]
    out = []
    for content, flags in rows:
        token = {"id": known[content] if content in known else first_id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                 "normalized": False, "special": False}
        first_id += content not in known
        token.update(flags)
        out.append(token)
    return out


def skeleton(model, first_id, known=()):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added(first_id, known), "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None, "model": model}


def trained_bpe(pre_tokenizer, alphabet, vocab_size):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False, special_tokens=["<s>", "</s>", "<unk>"])
    tokenizer.train_from_iterator(training_lines(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return {"type": "BPE", "vocab": model["vocab"], "merges": [" ".join(m) for m in model["merges"]]}


def byte_base():
    """Merges cross words, digits and newlines, so that a piece cut elsewhere shows in the ids."""
    model = trained_bpe(tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), tokenizers.pre_tokenizers.ByteLevel.alphabet(), 1500)
    return skeleton(model, len(model["vocab"]), model["vocab"])


def crossing_base():
    """Characters whose tokens cross words too: no word can be merged by itself."""
    model = trained_bpe(tokenizers.pre_tokenizers.Metaspace(split=False), [], 1000)
    model.update(unk_token="<unk>")
    return skeleton(model, len(model["vocab"]), model["vocab"])


def sentencepiece_model(kind):
    rules = io.StringIO()
    for c in [*range(0xFF01, 0xFFEF), *range(0xFB00, 0xFB07), *range(0x2460, 0x24B6), *range(0x2160, 0x2180), *range(0x3300, 0x3380), 0xFDFA, 0xA0, 0x3000, 0x2126]:
        text = unicodedata.normalize("NFKC", chr(c))
        if text != chr(c):
            rules.write(f"{c:X}\t{' '.join(f'{ord(x):X}' for x in text)}\n")
    rules.write("D\t20\nA\t20\n9\t20\nD A\t20\n65 301\tE9\n304B 3099\t304C\n200B\t20\n7F\t\n1F\t\n")
    path = "/tmp/bitwright_rules.tsv"
    with open(path, "w", encoding="utf-8") as file:
        file.write(rules.getvalue())
    out = io.BytesIO()
    options = dict(vocab_size=1000, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
                   user_defined_symbols=["<tool>", "▁▁", "▁▁▁▁", "\n\n"]) if kind == "bpe" else dict(
                       vocab_size=800, normalization_rule_tsv=path, user_defined_symbols=["<tool>"])
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=(line.replace("\n", " ") for line in training_lines()), model_writer=out, model_type=kind,
                                             character_coverage=0.98, bos_id=1, eos_id=2, unk_id=0, minloglevel=2, num_threads=1, **options)
    return out.getvalue()


def character_base(model_bytes):
    """The SentencePiece BPE as `tokenizers` has it: merges are all pairs of pieces whose text is a piece, best score first."""
    sp = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
    vocab = {sp.id_to_piece(i): i for i in range(sp.get_piece_size())}
    score = {piece: sp.get_score(i) for piece, i in vocab.items()}
    normal = {p for p, i in vocab.items() if not (sp.is_control(i) or sp.is_unknown(i) or sp.is_byte(i) or p in ("<tool>", "▁▁", "▁▁▁▁", "\n\n"))}
    merges = []
    for piece in sorted(normal, key=lambda p: -score[p]):
        pairs = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in normal and piece[i:] in normal]
        merges += [" ".join(pair) for pair in sorted(pairs, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))]
    base = skeleton({"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": vocab, "merges": merges}, len(vocab), vocab)
    for text in ("▁▁", "▁▁▁▁", "\n\n"):
        base["added_tokens"].append(dict(base["added_tokens"][5], content=text, id=vocab[text], normalized=True))
    return base


def unigram_base(model_bytes):
    sp = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
    vocab = [[sp.id_to_piece(i), round(sp.get_score(i), 6)] for i in range(sp.get_piece_size())]
    vocab += [[f"<0x{byte:02X}>", -15.0] for byte in range(256)]
    return skeleton({"type": "Unigram", "unk_id": 0, "vocab": vocab}, len(vocab), {piece: i for i, (piece, _) in enumerate(vocab)})


def charsmap(model_bytes):
    """normalizer_spec.precompiled_charsmap of a model, as base64."""
    import base64
    from sentencepiece import sentencepiece_model_pb2 as pb
    model = pb.ModelProto()
    model.ParseFromString(model_bytes)
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def pre(*parts):
    return sequence("pretokenizers", *parts)


def split(pattern, behavior="Isolated", kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": False}


def template(before, after=()):
    single = [{"SpecialToken": {"id": t, "type_id": 0}} for t in before] + [{"Sequence": {"id": "A", "type_id": 0}}] + [
        {"SpecialToken": {"id": t, "type_id": 0}} for t in after]
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTES_ONLY = dict(BYTES, use_regex=False)
DIGITS = {"type": "Digits", "individual_digits": True}
REPLACE_SPACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
SP_DECODER = sequence("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                      {"type": "Strip", "content": " ", "start": 1, "stop": 0})
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}


def families(precompiled):
    """Name → (base, what is put over its tokenizer.json)."""
    def of_bytes(pre_tokenizer, **more):
        return "bytes", dict({"pre_tokenizer": pre_tokenizer, "decoder": BYTES}, **more)

    def of_characters(base="characters", **more):
        return base, dict({"decoder": SP_DECODER}, **more)

    map_step = {"type": "Precompiled", "precompiled_charsmap": precompiled}
    normal = lambda *parts: sequence("normalizers", *parts)
    return {
        "gpt2": of_bytes(BYTES),
        "gpt2-prefix": of_bytes(dict(BYTES, add_prefix_space=True)),
        "llama3": of_bytes(pre(split(LLAMA3), BYTES_ONLY), model={"ignore_merges": True}, post_processor=sequence("processors", BYTES, template(["<s>"]))),
        "qwen2": of_bytes(pre(split(QWEN2), BYTES_ONLY), normalizer={"type": "NFC"}),
        "smollm": of_bytes(pre(DIGITS, BYTES)),
        "deepseek-llm": of_bytes(pre(split("[\r\n]"), split(deepseek_words()), split("\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"), split(r"\s+$"), split(CJK), DIGITS, BYTES_ONLY)),
        "deepseek-coder": of_bytes(pre(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(CJK), DIGITS, BYTES_ONLY)),
        "deepseek-v3": of_bytes(pre(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3), BYTES_ONLY)),
        "gpt-4o": of_bytes(pre(split(GPT4O), BYTES_ONLY)),
        "bare": of_bytes(BYTES_ONLY),
        "behaviours": of_bytes(pre(split(r"\s+", "MergedWithPrevious"), split("e", "Contiguous", "String"), {"type": "Punctuation", "behavior": "MergedWithNext"}, BYTES_ONLY)),
        "words": of_bytes(pre({"type": "Whitespace"}, BYTES_ONLY), post_processor={"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False}),
        "nfd": of_bytes(BYTES, normalizer={"type": "NFD"}),
        "nfkc-lower": of_bytes(BYTES, normalizer=normal({"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": False},
                                                        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})),
        "nfkd-accents": of_bytes(BYTES, normalizer=normal({"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Nmt"})),
        "llama2": of_characters(normalizer=normal({"type": "Prepend", "prepend": "▁"}, REPLACE_SPACE), post_processor=template(["<s>"])),
        "mistral": of_characters(pre_tokenizer=dict(METASPACE, prepend_scheme="first", split=False)),
        "gemma": of_characters(normalizer=REPLACE_SPACE, pre_tokenizer=split(" ", "MergedWithPrevious", "String"),
                               decoder=sequence("decoders", *SP_DECODER["decoders"][:3]), model={"ignore_merges": True}),
        "metaspace": of_characters(pre_tokenizer=METASPACE, decoder=METASPACE, model={"byte_fallback": False, "fuse_unk": False}),
        "fused": of_characters(normalizer=REPLACE_SPACE, model={"byte_fallback": False, "fuse_unk": True}),
        "crossing": of_characters("crossing", normalizer=REPLACE_SPACE),
        "t5": ("unigram", {"normalizer": map_step, "pre_tokenizer": METASPACE, "decoder": METASPACE}),
        "xlm-r": ("unigram", {"normalizer": normal(map_step, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}),
                              "pre_tokenizer": pre({"type": "WhitespaceSplit"}, METASPACE), "decoder": METASPACE, "model": {"byte_fallback": True}}),
        "unigram": ("unigram", {"normalizer": REPLACE_SPACE, "decoder": SP_DECODER}),
    }


def patched(base, patch):
    out = dict(base)
    for key, value in patch.items():
        out[key] = dict(base["model"], **value) if key == "model" else value
    return out


def hash24(text):
    """FNV-1a, folded to 24 bits."""
    value = 0x811C9DC5
    for byte in text:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return (value >> 24) ^ (value & 0xFFFFFF)


def hash_ids(ids):
    return "%06x" % hash24(",".join(map(str, ids)).encode())


def hash_ids_text(text):
    return "%04x" % (hash24(text.encode()) & 0xFFFF)
