#!/usr/bin/env python3
"""Writes tests/text/<kind>/tokenizer.json and cases.jsonl: small tokenizers of each kind, trained on
text that this script makes up, and hostile strings with the ids and texts that Hugging Face
`tokenizers` (0.23) gives for them; rows without a text are random ids and what they decode to.

    python3 tools/make_tokenizer_goldens.py [OUT_DIR [KIND...]]
"""
import contextlib
import io
import json
import pathlib
import random
import sys
import tempfile
import unicodedata

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

CASE_COUNT = 2200
DECODE_COUNT = 400
VOCAB_SIZE = 1400

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL)
QWEN2 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL)
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         + CONTRACTIONS + r"?|"
         + r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
         + CONTRACTIONS + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL)

SYLLABLES = ("an be co da en fo gra hi in jo ka le mo ne ou per qui ra sto the un ver wi xa you ze "
             "ing ed er tion ly ment es al is or").split()
OTHER_WORDS = ["été", "naïve", "Straße", "привет", "мир", "γειά", "日本語", "東京", "한국어",
               "שלום", "مرحبا", "हिन्दी", "ไทย", "😀", "👍🏽", "don't", "I'll", "we've", "x86_64",
               "C++20", "0.5", "1234", "e-mail", "¿qué?", "#include", "</div>", "()", "==", "—"]


def sentence(rng):
    words = []
    for _ in range(rng.randint(3, 14)):
        if rng.random() < 0.15:
            words.append(rng.choice(OTHER_WORDS))
        else:
            words.append("".join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 3))))
    text = " ".join(words)
    return text[:1].upper() + text[1:] + rng.choice(".?!,;:") + rng.choice([" ", "\n", "\n\n", "  "])


def corpus():
    rng = random.Random(7)
    return ["".join(sentence(rng) for _ in range(20)) for _ in range(120)]


SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\xa0", "\u1680",
          "\u180e", "\u2003", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff"]
PIECES = ["'s", "'S", "'ſ", "'Re", "'VE", "'ll", "'LL", "'d", "'m", "'T", "’s", "''", "'", "'x",
          "ÀÉ", "e\u0301", "\u0301", "\u0301\u0323", "\u0323\u0301a", "ǅ", "ʰ", "ﬁ", "ß", "ẞ", "İ",
          "ı", "K", "Å", "½", "²", "Ⅷ", "٣", "०१२", "𝟘𝟙", "一二", "〇", "㍿", "한", "각", "\u1112\u1161\u11ab",
          "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "\u200d", "\ufe0f", "\ufffd", "\uffff", "\U0010ffff", "\ue000",
          "\x00", "\x01", "\x07", "\x1b[0m", "\x7f", "\x80", "\x9f", "\u00ad", "\u061c", "\u2066",
          "▁", "▁▁", " ▁", "Ġ", "Ċ", "ĠĠ", "<0x0A>", "<0xE2>", "<unk>", "<s>", "</s>", "<|end|>",
          "<|im_start|>", "<|im_end|>", " <|im_end|> ", "<mask>", "  <mask>  ", "word", "wordy",
          "Word", "[TAG]", "[tag]", "<|end", "|>", "<tool_call>", "{}", "[[", "//", "/*", "*/",
          "...", "!!!", "?!", "=>", "https://a.b/c?d=e&f=%20", "a@b.c", "1,234.50", "3.14e-10",
          "0xFF", "1/2", "100%", "$5", "€", "C#", "HTTPServer", "camelCase", "snake_case",
          "kebab-case", "ALLCAPS", "ÉCOLE", "éCole", "ΑΒΓαβγ", "ΣΊΣΥΦΟΣ", "МОСКВА", "ДжО", "עִברִית",
          "العَرَبِيَّة", "ภาษาไทย", "தமிழ்", "བོད་ཡིག", "ქართული", "ᏣᎳᎩ", "𐐀𐐨", "𠀀𠮷", "ﷺ", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢"]


def random_char(rng):
    while True:
        plane = rng.choice([0, 0, 0, 0, 1, 1, 2, 14, 16, rng.randint(0, 16)])
        code = plane * 0x10000 + rng.randint(0, 0xFFFF)
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def assigned_char(rng):
    while True:
        char = random_char(rng)
        if unicodedata.category(char) not in ("Cn", "Co"):
            return char


def part(rng):
    kind = rng.randint(0, 13)
    if kind <= 2:
        return rng.choice(PIECES)
    if kind == 3:
        return rng.choice(SPACES) * rng.choice([1, 1, 2, 3, 7])
    if kind == 4:
        return "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 5)))
    if kind == 5:
        return rng.choice(SYLLABLES) + rng.choice(SYLLABLES)
    if kind == 6:
        return rng.choice(["", " "]) + "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 8)))
    if kind == 7:
        return rng.choice(OTHER_WORDS)
    if kind == 8:
        return "".join(assigned_char(rng) for _ in range(rng.randint(1, 4)))
    if kind == 9:
        return random_char(rng)
    if kind == 10:
        return "".join(rng.choice("aAbBzZ'éÉ日\u0301 ʰǅ") for _ in range(rng.randint(1, 9)))
    if kind == 11:
        return rng.choice(["a", "A", "=", "-", " ", "\n", "é", "日", "😀", "0", "ha", "\u0301"]) * rng.randint(2, 40)
    if kind == 12:
        return chr(rng.randint(0, 0x17F))
    return "".join(rng.choice("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~ ") for _ in range(rng.randint(1, 6)))


def strings():
    """The texts of all kinds: every piece alone, then random mixtures."""
    rng = random.Random(20)
    texts = ["", *SPACES, *PIECES, *OTHER_WORDS, "a" * 1500, "ab " * 400, "\n" * 300, "日本" * 150,
             "the " * 200, "<|im_end|>" * 40, "1234567890" * 30, "  x" * 50, "aB" * 60]
    while len(texts) < CASE_COUNT - 200:
        texts.append("".join(part(rng) for _ in range(rng.randint(1, 7))))
    while len(texts) < CASE_COUNT:
        texts.append(sentence(rng))
    return texts


ADDED = [AddedToken("<|im_start|>", special=True, normalized=False),
         AddedToken("<|im_end|>", special=True, normalized=False),
         AddedToken("<|end|>", special=True, normalized=False, rstrip=True),
         AddedToken("<mask>", special=True, normalized=False, lstrip=True, rstrip=True),
         AddedToken("word", normalized=False, single_word=True),
         AddedToken("[TAG]", normalized=True),
         AddedToken("<tool_call>", normalized=False)]


def train(tokenizer, alphabet, special=()):
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, initial_alphabet=alphabet,
                                  special_tokens=list(special), show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def edit(tokenizer, change):
    """The tokenizer after a change of its document."""
    document = json.loads(tokenizer.to_str())
    change(document)
    return Tokenizer.from_str(json.dumps(document))


def byte_level(pre_tokenizer, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return train(tokenizer, pre_tokenizers.ByteLevel.alphabet())


def split_then_bytes(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.add_tokens(ADDED)
    return tokenizer


def llama3():
    tokenizer = byte_level(split_then_bytes(LLAMA3))
    tokenizer.add_tokens(ADDED + [AddedToken("<s>", special=True, normalized=False)])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(),
        processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B",
                                      special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])])

    def change(document):
        document["model"]["ignore_merges"] = True
        # A word that no merge makes, and a special token inside the vocabulary.
        next_id = max(document["model"]["vocab"].values()) + 50
        document["model"]["vocab"]["ĠALLCAPS"] = next_id
        document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    return edit(tokenizer, change)


def qwen2():
    tokenizer = byte_level(split_then_bytes(QWEN2), normalizers.NFC())
    tokenizer.add_tokens(ADDED)
    return tokenizer


def o200k():
    tokenizer = byte_level(split_then_bytes(O200K))
    tokenizer.add_tokens(ADDED)
    return tokenizer


def spm():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    train(tokenizer, list("abcdefghijklmnopqrstuvwxyz▁"), special)
    document = json.loads(tokenizer.to_str())
    # Trained with a split so that no token spans words; used without one, as Llama 2 is.
    document["pre_tokenizer"] = None
    document["added_tokens"] = document["added_tokens"][:3]
    document["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    document["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.add_tokens(ADDED)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def metaspace():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(),
                                                 normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    train(tokenizer, list("abcdefghijklmnopqrstuvwxyz▁"), ["<unk>", "</s>"])
    tokenizer.add_tokens(ADDED)
    return tokenizer


def split():
    """Patterns that only the regular expression engine knows, and every delimiter behaviour."""
    tokenizer = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"), "isolated"),
        pre_tokenizers.Split(Regex(r"[一-龥\u3040-ゟ゠-ヿ]+"), "isolated"),
        pre_tokenizers.Split("ing", "merged_with_previous"),
        pre_tokenizers.Split(Regex(r"[\s\-]+"), "merged_with_next"),
        pre_tokenizers.Split(Regex(r"(?i:the)|\w+?\d"), "contiguous"),
        pre_tokenizers.Split(Regex(r"[\x07\x1b]"), "removed"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]),
        normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(),
                              normalizers.Lowercase()]))
    tokenizer.add_tokens(ADDED)
    return tokenizer


def characters():
    """Pre-tokenizers of single characters, no decoder, NFKD and trimmed ends."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKD()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("merged_with_previous"),
        pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Whitespace()])
    train(tokenizer, list("abcdefghijklmnopqrstuvwxyz"), ["<unk>", "[CLS]", "[SEP]"])
    tokenizer.add_tokens(ADDED)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tokenizer


def bert():
    """Uncased BERT: everything of its family, with token types of pairs."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=VOCAB_SIZE, show_progress=False,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    tokenizer.add_tokens(ADDED)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


def bert_cased():
    """Cased BERT with short words and another prefix."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=12,
                                           continuing_subword_prefix="@"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="@", cleanup=False)
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=900, show_progress=False, continuing_subword_prefix="@",
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))

    def change(document):
        document["model"]["max_input_chars_per_word"] = 12
        document["model"]["continuing_subword_prefix"] = "@"
    tokenizer = edit(tokenizer, change)
    tokenizer.add_tokens(ADDED)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


RULES = {"ﬁ": "fi", "ﬀ": "ff", "½": "1⁄2", "²": "2", "Ⅷ": "VIII", "㍿": "株式会社", "ﷺ": "صلى",
         "e\u0301": "é", "a\u0301": "á", "a\u0301\u0323": "ạ́", "\u212a": "K", "\u212b": "\u00c5",
         "\t": " ", "\n": " ", "\r": " ", "\u3000": " ", "\xa0": " ", "\u2003": " ", "\u200b": " ",
         "\u2028": " ", "\ufeff": " ", "\x07": "", "\x7f": "", "\u00ad": "", "ß": "ss", "İ": "i̇",
         "A": "a", "É": "é", "...": "…", "ll": "ľ", "👍🏽": "+1", "👍": "up", "한": "han",
         "\u1112\u1161": "하", "１": "1", "ｱ": "ア", "ｶﾞ": "ガ", "ｶ": "カ", "\x85": " ", "—": "-"}


@contextlib.contextmanager
def rules_file():
    """Rules of normalization for SentencePiece, of our own, because its nmt_nfkc has 300 KB compiled.
    They are of each sort: one to many, many to one, prefixes of each other, deletions."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "rules.tsv")
        source.write_text("".join(
            " ".join(f"{ord(c):X}" for c in left) + "\t" + " ".join(f"{ord(c):X}" for c in right) + "\n"
            for left, right in RULES.items()))
        yield str(source)


def compiled_rules():
    """The character map that SentencePiece makes of the rules."""
    import sentencepiece
    model = io.BytesIO()
    with rules_file() as source:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus()), model_writer=model, vocab_size=300, minloglevel=2,
            normalization_rule_tsv=source, hard_vocab_limit=False)
    return dict(proto_fields(dict(proto_fields(model.getvalue()))[3]))[2]


def proto_fields(data):
    """The fields of a protocol buffer message: number and value, in their order."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        yield key >> 3, data[at:at + size]
        at += size


def train_unigram(tokenizer, special, unk="<unk>"):
    tokenizer.train_from_iterator(corpus(), trainers.UnigramTrainer(
        vocab_size=VOCAB_SIZE, show_progress=False, unk_token=unk, special_tokens=special))
    return tokenizer


def t5():
    """T5: Unigram behind a compiled character map and Metaspace."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    train_unigram(tokenizer, ["<pad>", "</s>", "<unk>"])
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(compiled_rules()), normalizers.Strip(left=False, right=True),
        normalizers.Replace(Regex(" {2,}"), "▁")])
    tokenizer.add_tokens(ADDED)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def xlm_roberta():
    """XLM-RoBERTa: white space split off before Metaspace, pairs as RoBERTa has them."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    train_unigram(tokenizer, ["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.normalizer = normalizers.Precompiled(compiled_rules())
    tokenizer.add_tokens(ADDED)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def unigram_bytes():
    """Unigram with bytes for unknown characters, whole texts as one piece."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    train_unigram(tokenizer, ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)])

    def change(document):
        document["model"]["byte_fallback"] = True
        document["pre_tokenizer"]["split"] = False
        document["added_tokens"] = document["added_tokens"][:3]
        document["decoder"] = {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    tokenizer = edit(tokenizer, change)
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.add_tokens(ADDED)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    return tokenizer


def words():
    """Whole words, decoded without a decoder."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.NFC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(corpus(), trainers.WordLevelTrainer(
        vocab_size=VOCAB_SIZE, show_progress=False, special_tokens=["<unk>"]))
    tokenizer.add_tokens(ADDED)
    return tokenizer


def suffixed():
    """BPE whose tokens say where words end, as the first GPT has it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE, show_progress=False, special_tokens=["<unk>"],
        end_of_word_suffix="</w>"))
    tokenizer.add_tokens(ADDED)
    return tokenizer


def id_lists(size):
    """Random ids, half of them from the start of the vocabulary, where single bytes are."""
    rng = random.Random(11)
    return [[rng.randrange(size if row % 2 else min(size, 300)) for _ in range(rng.randint(1, 12))]
            for row in range(DECODE_COUNT)]


KINDS = [gpt2, llama3, qwen2, o200k, spm, metaspace, split, characters, bert, bert_cased, t5,
         xlm_roberta, unigram_bytes, words, suffixed]
PAIR_COUNT = 60


def write(folder, tokenizer):
    folder.mkdir(parents=True, exist_ok=True)
    document = json.loads(tokenizer.to_str())
    (folder / "tokenizer.json").write_text(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    rows = []
    for text in strings():
        ids = tokenizer.encode(text).ids
        row = {"text": text, "ids": ids}
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        skipped = tokenizer.decode(ids, skip_special_tokens=True)
        if decoded != text:
            row["decoded"] = decoded
        if skipped != decoded:
            row["skipped"] = skipped
        rows.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    for ids in id_lists(tokenizer.get_vocab_size()):
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        skipped = tokenizer.decode(ids, skip_special_tokens=True)
        rows.append(json.dumps({"ids": ids, "decoded": decoded, "skipped": skipped},
                               ensure_ascii=False, separators=(",", ":")))
    rng = random.Random(12)
    texts = strings()
    for _ in range(PAIR_COUNT if tokenizer.post_processor is not None else 0):
        first, second = rng.choice(texts), rng.choice(texts)
        pair = tokenizer.encode(first, second)
        rows.append(json.dumps({"pair": [first, second], "ids": pair.ids, "types": pair.type_ids},
                               ensure_ascii=False, separators=(",", ":")))
    (folder / "cases.jsonl").write_text("\n".join(rows) + "\n")


def main():
    root = pathlib.Path(__file__).resolve().parent.parent / "tests/text"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root
    for kind in KINDS:
        if len(sys.argv) > 2 and kind.__name__ not in sys.argv[2:]:
            continue
        write(out / kind.__name__, kind())


if __name__ == "__main__":
    main()
