"""Any text becomes token ids, with any tokenizer."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import ByT5Tokenizer, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.modeling import load_model
from hypserini.modeling.tokenizing import pad, padding_id, tokenize
from hypserini.settings import EncodingSettings

AWKWARD = [
    "",
    " ",
    "\t\n",
    "\x00",
    "a\x00b",
    "\ud800",
    "x\udfff",
    "\U0001f600",
    "\u200b",
    "שלום",
    "a" * 9999,
]


@pytest.fixture
def bytes_tokenizer() -> PreTrainedTokenizerFast:
    """Of GPT-2's kind: it adds nothing to a text, and has no padding token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["index search"] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_awkward_texts_encode_alone_as_in_a_batch(bare):
    model = load_model(bare.folder, device="cpu")
    vectors = DocumentEncoder(model, batch_size=4).encode(AWKWARD)
    alone = np.concatenate([DocumentEncoder(model).encode([text]) for text in AWKWARD])
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    assert len(QueryEncoder(model).encode(AWKWARD)) == len(AWKWARD)


def test_a_tokenizer_without_special_tokens(bare, bytes_tokenizer):
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=len(bytes_tokenizer), intermediate_size=64, **shape)
    LlamaModel(config).save_pretrained(bare.folder)
    for file in bare.folder.glob("*oken*"):
        file.unlink()
    (bare.folder / "vocab.txt").unlink(missing_ok=True)
    bytes_tokenizer.save_pretrained(bare.folder)
    settings = EncodingSettings(pooling="lasttoken")
    model = load_model(bare.folder, device="cpu", settings=settings)
    assert model.tokenizer.pad_token is None
    vectors = DocumentEncoder(model, batch_size=4).encode(AWKWARD)
    alone = np.concatenate([DocumentEncoder(model).encode([text]) for text in AWKWARD])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)


def test_texts_that_are_cut_are_counted_by_all_tokenizers(bytes_tokenizer):
    for tokenizer in (bytes_tokenizer, ByT5Tokenizer()):
        rows, cut = tokenize(tokenizer, ["ab", "a" * 50, "abcd" * 9, ""], 5)
        assert cut == 2
        assert max(map(len, rows)) == 5
        assert min(map(len, rows)) >= 1


def test_tokens_that_the_model_does_not_know_are_unknown_ones(bare, caplog):
    bare.tokenizer.add_tokens(["zebra"])
    bare.tokenizer.save_pretrained(bare.folder)
    model = load_model(bare.folder, device="cpu")
    assert "others are encoded as unknown ones" in caplog.text
    vectors = DocumentEncoder(model).encode(["index zebra", "index [UNK]"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_padding_that_the_model_does_not_know_is_not_used(bytes_tokenizer):
    assert padding_id(bytes_tokenizer, 10) == 0
    bytes_tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    known = len(bytes_tokenizer)
    assert padding_id(bytes_tokenizer, known) == known - 1
    assert padding_id(bytes_tokenizer, known - 1) == 0
    ids, mask = pad([[5], [6, 7]], 3)
    assert torch.equal(ids, torch.tensor([[5, 3], [6, 7]]))
    assert torch.equal(mask, torch.tensor([[1, 0], [1, 1]]))
