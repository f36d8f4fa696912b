"""Folders of sentence-transformers in both schemas; values are made by hand from token states."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_tokenizer
from safetensors.torch import save_file

from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.errors import ModelError
from hypserini.modeling import load_model
from hypserini.modeling.pooling import pool
from hypserini.settings import EncodingSettings

OLD = "sentence_transformers.models."
NEW = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "Dropout": "sentence_transformers.sentence_transformer.modules.dropout.Dropout",
    "LayerNorm": "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm",
}
KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
TEXTS = ["index search", "graph walk beam width", "a"]


def note(bare, schema="new", *, pooling=("mean",), after=(), paths=None, **pooled: Any) -> None:
    """Write modules.json and the pooling's folder."""
    names = ["Transformer", "Pooling", *after]
    paths = paths or ["", *(f"{i}_{name}" for i, name in enumerate(names[1:], start=1))]
    types = [OLD + name if schema == "old" else NEW[name] for name in names]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (path, kind) in enumerate(zip(paths, types, strict=True))
    ]
    bare.write("modules.json", modules)
    if schema == "old":
        modes = {key: mode in pooling for mode, key in KEYS.items()}
        values = {"word_embedding_dimension": 32, **modes, **pooled}
    else:
        mode = pooling[0] if len(pooling) == 1 else list(pooling)
        values = {"embedding_dimension": 32, "pooling_mode": mode, **pooled}
    bare.write(f"{paths[1]}/config.json", values)


def dense(bare, path: str, shape: tuple[int, int], activation: str, **more: Any) -> torch.nn.Linear:
    """Write a dense layer of (outputs, inputs), and return it."""
    layer = torch.nn.Linear(shape[1], shape[0], bias=more.get("bias", True))
    noted = {"in_features": shape[1], "out_features": shape[0], "activation_function": activation}
    bare.write(f"{path}/config.json", noted | more)
    state = {f"linear.{name}": w.detach() for name, w in layer.named_parameters()}
    save_file(state, bare.folder / path / "model.safetensors")
    return layer


def pooled(bare, pooling: str = "mean", prefix: str = "", length: int = 40) -> torch.Tensor:
    rows = [bare.states(prefix + text, length) for text in TEXTS]
    return torch.cat([pool(row[None], torch.ones(1, len(row)).long(), pooling) for row in rows])


def encode(folder, settings=None) -> tuple[torch.Tensor, torch.Tensor]:
    """The vectors of the texts as queries and as documents."""
    model = load_model(folder, device="cpu", settings=settings)
    queries = QueryEncoder(model, batch_size=2).encode(TEXTS).matrices[0][..., 0]
    return queries, torch.from_numpy(DocumentEncoder(model, batch_size=2).encode(TEXTS))


def check(folder, wanted: torch.Tensor, queries: torch.Tensor | None = None) -> None:
    found = encode(folder)
    assert torch.allclose(found[1], wanted, atol=1e-5)
    assert torch.allclose(found[0], wanted if queries is None else queries, atol=1e-5)


@pytest.mark.parametrize("schema", ["old", "new"])
@pytest.mark.parametrize(
    "modes", [*((mode,) for mode in KEYS), ("cls", "mean"), ("max", "lasttoken")]
)
def test_each_pooling_in_each_schema(bare, schema, modes):
    note(bare, schema, pooling=modes)
    names = "+".join(mode.replace("_tokens", "") for mode in modes)
    check(bare.folder, pooled(bare, names))
    assert load_model(bare.folder, device="cpu").dim == 32 * len(modes)


def test_the_new_schema_concatenates_in_its_own_order(bare):
    note(bare, pooling=("mean", "cls"))
    check(bare.folder, pooled(bare, "mean+cls"))


def test_no_mode_at_all_is_the_mean(bare):
    note(bare, "old", pooling=())
    check(bare.folder, pooled(bare))


@pytest.mark.parametrize("schema", ["old", "new"])
def test_folders_are_those_that_modules_json_names(bare, schema):
    note(bare, schema, after=["Normalize"], paths=["0_Transformer", "2_Pooling", "3_Unit"])
    below = bare.folder / "0_Transformer"
    below.mkdir()
    for file in [f for f in bare.folder.iterdir() if f.is_file() and f.name != "modules.json"]:
        shutil.move(file, below)
    check(bare.folder, F.normalize(pooled(bare), dim=1))


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_dense_layers_and_norms_in_their_order(bare, file):
    note(bare, after=["Normalize", "Dropout", "Dense", "LayerNorm", "Dense"])
    first = dense(bare, "4_Dense", (16, 32), "torch.nn.modules.activation.Tanh")
    last = dense(bare, "6_Dense", (8, 16), "torch.nn.modules.linear.Identity", bias=False)
    scale = torch.rand(16)
    bare.write("5_LayerNorm/config.json", {"dimension": 16})
    weights = {"norm.weight": scale, "norm.bias": scale - 1}
    if file.endswith("bin"):
        torch.save(weights, bare.folder / "5_LayerNorm" / file)
    else:
        save_file(weights, bare.folder / "5_LayerNorm" / file)
    with torch.no_grad():
        vectors = first(F.normalize(pooled(bare), dim=1)).tanh()
        vectors = last(F.layer_norm(vectors, (16,), scale, scale - 1))
    check(bare.folder, vectors)


def test_a_residual_is_added_behind_the_activation(bare):
    note(bare, after=["Dense"])
    layer = dense(bare, "2_Dense", (32, 32), "torch.nn.modules.activation.ReLU", use_residual=True)
    mean = pooled(bare)
    with torch.no_grad():
        check(bare.folder, layer(mean).relu() + mean)


def test_a_model_with_dense_layers_is_saved_whole(bare, tmp_path):
    note(bare, after=["Dense", "Normalize"])
    dense(bare, "2_Dense", (8, 32), "torch.nn.modules.activation.GELU")
    model = load_model(bare.folder, device="cpu")
    model.save_pretrained(tmp_path / "saved")
    again = load_model(tmp_path / "saved", device="cpu")
    assert again.fingerprint == model.fingerprint
    assert torch.equal(encode(tmp_path / "saved")[1], encode(bare.folder)[1])
    plain = load_model(bare.folder, device="cpu")
    with torch.no_grad():
        plain.passage_encoder.projections[0].linear.weight.add_(1)
    assert plain.fingerprint != model.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "evil.Activation"}, r"Dense layer.*evil\.Activation"),
        ({"module_input_name": "token_embeddings"}, r"Dense layer.*token_embeddings"),
        ({"in_features": 31}, r"takes vectors of 31 dimensions.* 32"),
        ({"out_features": None}, r"no out_features"),
    ],
)
def test_dense_layers_that_are_not_supported_are_named(bare, changes, message):
    note(bare, after=["Dense"])
    dense(bare, "2_Dense", (8, 32), "torch.nn.modules.activation.Tanh")
    bare.edit("2_Dense/config.json", **changes)
    with pytest.raises(ModelError, match=message):
        load_model(bare.folder, device="cpu")


@pytest.mark.parametrize(
    "kind",
    [
        "sentence_transformers.models.LSTM",
        "sentence_transformers.sentence_transformer.modules.weighted_layer_pooling.WeightedLayerPooling",
        "sentence_transformers.models.Asym",
        "custom_st.Transformer",
        "pylate.models.Dense.Dense",
    ],
)
@pytest.mark.parametrize("place", [0, 2])
def test_unknown_modules_are_refused_by_name(bare, kind, place):
    note(bare, after=["Normalize"])
    modules = json.loads((bare.folder / "modules.json").read_text())
    modules[place]["type"] = kind
    bare.write("modules.json", modules)
    with pytest.raises(ModelError, match=kind.replace(".", r"\.")):
        load_model(bare.folder, device="cpu")


def test_what_else_the_notes_may_ask_for_is_refused_by_name(bare):
    note(bare, "old", pooling=(), pooling_mode_entropy_tokens=True)
    with pytest.raises(ModelError, match=r"1_Pooling/config\.json: pooling_mode_entropy_tokens"):
        load_model(bare.folder, device="cpu")
    note(bare, pooling=("entropy",))
    with pytest.raises(ModelError, match=r"1_Pooling/config\.json: .*'entropy'"):
        load_model(bare.folder, device="cpu")
    note(bare)
    for noted, message in (
        ({"transformer_task": "text-generation"}, "text-generation"),
        ({"query_expansion": {"length": 32}}, "query_expansion"),
        ({"model_args": {"default_task": "retrieval"}}, "default_task"),
        ({"max_seq_length": "long"}, "'long'"),
    ):
        bare.write("sentence_bert_config.json", noted)
        with pytest.raises(ModelError, match=message):
            load_model(bare.folder, device="cpu")
    bare.write("sentence_bert_config.json", {})
    bare.write("config_sentence_transformers.json", {"model_type": "SparseEncoder"})
    with pytest.raises(ModelError, match="SparseEncoder"):
        load_model(bare.folder, device="cpu")
    (bare.folder / "1_Pooling/config.json").unlink()
    bare.write("config_sentence_transformers.json", {})
    with pytest.raises(ModelError, match=r"1_Pooling/config\.json"):
        load_model(bare.folder, device="cpu")
    note(bare, paths=["../elsewhere", "1_Pooling"])
    with pytest.raises(ModelError, match=r"\.\./elsewhere, which lies outside"):
        load_model(bare.folder, device="cpu")
    bare.write("modules.json", {"0": "Transformer"})
    with pytest.raises(ModelError, match=r"modules\.json is no list"):
        load_model(bare.folder, device="cpu")


def test_lengths_hold_for_queries_as_well(bare):
    note(bare)
    bare.write("sentence_bert_config.json", {"max_seq_length": 4})
    check(bare.folder, pooled(bare, length=4))
    model = load_model(bare.folder, device="cpu")
    assert (model.query_max_length, model.document_max_length) == (4, 4)
    bare.write("sentence_bert_config.json", {"max_seq_length": 9, "query_length": 5})
    model = load_model(bare.folder, device="cpu")
    assert (model.query_max_length, model.document_max_length) == (5, 9)
    # More than the table of positions has cannot be asked for.
    bare.write("sentence_bert_config.json", {"max_seq_length": 4000})
    assert load_model(bare.folder, device="cpu").query_max_length == 40


def test_texts_are_lowered_where_the_tokenizer_does_not(bare, tmp_path):
    note(bare)
    cased = make_tokenizer(bare.folder)
    cased.backend_tokenizer.normalizer.lowercase = False
    cased.save_pretrained(bare.folder)
    bare.edit("tokenizer_config.json", do_lower_case=False)

    def differ(folder) -> bool:
        vectors = DocumentEncoder(load_model(folder, device="cpu")).encode(["Index", "index"])
        return bool(abs(vectors[0] - vectors[1]).max() > 1e-5)

    assert differ(bare.folder)
    bare.write("sentence_bert_config.json", {"do_lower_case": True})
    assert not differ(bare.folder)
    load_model(bare.folder, device="cpu").save_pretrained(tmp_path / "saved")
    assert not differ(tmp_path / "saved")


def test_cosine_without_a_normalize_layer_gives_vectors_their_length(bare, caplog):
    note(bare)
    bare.write("config_sentence_transformers.json", {"similarity_fn_name": "cosine"})
    with caplog.at_level("INFO"):
        check(bare.folder, F.normalize(pooled(bare), dim=1))
    assert "ranks by cosine" in caplog.text
    untouched = encode(bare.folder, EncodingSettings(l2_norm=False))
    assert torch.allclose(untouched[1], pooled(bare), atol=1e-5)
    bare.write("config_sentence_transformers.json", {"similarity_fn_name": "dot"})
    check(bare.folder, pooled(bare))
    bare.write("config_sentence_transformers.json", {"similarity_fn_name": "manhattan"})
    with pytest.raises(ModelError, match=r"manhattan.*--l2-norm"):
        load_model(bare.folder, device="cpu")
    assert (
        encode(bare.folder, EncodingSettings(l2_norm=True))[1].norm(dim=1).allclose(torch.ones(3))
    )


@pytest.mark.parametrize(
    ("noted", "query", "document"),
    [
        ({"prompts": {"query": "query ", "document": "text "}}, "query ", "text "),
        ({"prompts": {"query": "query ", "passage": "text "}}, "query ", "text "),
        # As sentence-transformers 6 saves the same once more.
        ({"prompts": {"query": "query ", "document": "", "passage": "text "}}, "query ", "text "),
        ({"prompts": {"query": "query "}, "default_prompt_name": "query"}, "query ", ""),
        ({"prompts": {"both": "sort "}, "default_prompt_name": "both"}, "sort ", "sort "),
        ({"prompts": {"query": None, "document": None}}, "", ""),
        ({"prompts": {}, "default_prompt_name": None}, "", ""),
    ],
)
def test_prompts_stand_before_queries_and_documents(bare, noted, query, document):
    note(bare)
    bare.write("config_sentence_transformers.json", noted)
    check(bare.folder, pooled(bare, prefix=document), pooled(bare, prefix=query))


def test_prompts_that_cannot_be_used_are_said(bare, caplog):
    note(bare)
    bare.write("config_sentence_transformers.json", {"prompts": {"clustering": "sort "}})
    check(bare.folder, pooled(bare))
    assert "clustering" in caplog.text
    assert "--query-prefix" in caplog.text
    bare.write("config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": "gone"})
    with pytest.raises(ModelError, match=r"'gone'"):
        load_model(bare.folder, device="cpu")
    bare.write("config_sentence_transformers.json", {"prompts": {"query": ["a"]}})
    with pytest.raises(ModelError, match=r"prompts"):
        load_model(bare.folder, device="cpu")
    note(bare, include_prompt=False)
    bare.write("config_sentence_transformers.json", {"prompts": {"query": "query "}})
    with pytest.raises(ModelError, match=r"include_prompt"):
        load_model(bare.folder, device="cpu")


def test_what_the_user_says_goes_before_the_folder(bare):
    note(bare, after=["Normalize"])
    bare.write("config_sentence_transformers.json", {"prompts": {"query": "a ", "document": "b "}})
    asked = EncodingSettings("cls", False, "query ", "")
    queries, documents = encode(bare.folder, asked)
    assert torch.allclose(queries, pooled(bare, "cls", prefix="query "), atol=1e-5)
    assert torch.allclose(documents, pooled(bare, "cls"), atol=1e-5)
