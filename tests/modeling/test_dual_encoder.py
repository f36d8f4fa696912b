"""Whole Hypencoders: the reference's recorded numbers, saving, sharing, training."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import BertConfig, Trainer, TrainingArguments

from hypserini.errors import ModelError
from hypserini.modeling import (
    HypencoderConfig,
    HypencoderDualEncoder,
    QNet,
    QNetConfig,
    load_model,
    q_net_config,
    register_q_net,
)

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
CHECKPOINTS = ["hypencoder-2l-shared", "hypencoder-2l-unshared"]
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="golden data does not lie beside the checkout"
)
BASE = BertConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=40,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)


def new_model(q_net: QNetConfig | int = 2, **kwargs) -> HypencoderDualEncoder:
    torch.manual_seed(0)
    return HypencoderDualEncoder(HypencoderConfig.from_base(BASE, q_net, **kwargs)).eval()


def inputs(rows: int, length: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, 50, (rows, length), generator=torch.Generator().manual_seed(seed))
    mask = torch.ones_like(ids)
    mask[0, length // 2 :] = 0
    return ids, mask


def close(got: torch.Tensor, wanted: np.ndarray, atol: float) -> None:
    np.testing.assert_allclose(got.detach().numpy(), wanted, atol=atol)


@needs_golden
@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("saved", [False, True])
def test_golden_numbers(name, saved, tmp_path):
    model = load_model(GOLDEN / name, device="cpu")
    if saved:
        model.save_pretrained(tmp_path)
        assert (tmp_path / "model.safetensors").is_file()
        fingerprint = model.fingerprint
        model = load_model(tmp_path, device="cpu")
        assert model.fingerprint == fingerprint
    data = np.load(GOLDEN / name / "golden.npz")
    ids, mask, passage_ids, passage_mask = (
        torch.from_numpy(data[key])
        for key in (
            "query_input_ids",
            "query_attention_mask",
            "passage_input_ids",
            "passage_attention_mask",
        )
    )
    q_net = model.encode_queries(ids, mask)
    for i, matrix in enumerate(q_net.matrices):
        close(matrix, data[f"matrix_{i}"], 1e-5)
    for i, vector in enumerate(q_net.vectors):
        close(vector, data[f"vector_{i}"].squeeze(-1), 1e-5)
    documents = model.encode_documents(passage_ids, passage_mask)
    close(documents, data["passage_embeddings"], 1e-5)
    close(q_net(documents), data["scores"], 1e-5)
    close(q_net.score(documents.detach()), data["scores"], 1e-5)
    x = documents
    for i in range(len(q_net.vectors)):  # layer by layer: the q-net cut short is a q-net too
        config = q_net.config
        y = torch.nn.functional.layer_norm(
            (x @ q_net.matrices[i][0] + q_net.vectors[i][0]).relu(), x.shape[-1:]
        )
        x = y + x if config.has_residual(i) else y
        close(x, data[f"activation_{i}"], 1e-5)
    single_documents = torch.cat(
        [
            model.encode_documents(row[keep == 1][None], keep[keep == 1][None])
            for row, keep in zip(passage_ids, passage_mask, strict=True)
        ]
    )
    close(single_documents, data["passage_embeddings_single"], 1e-5)
    singles = [
        model.encode_queries(row[keep == 1][None], keep[keep == 1][None])
        for row, keep in zip(ids, mask, strict=True)
    ]
    close(QNet.cat(singles)(single_documents), data["scores_single"], 1e-5)


@needs_golden
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_golden_numbers_in_float64(name):
    model = load_model(GOLDEN / name, device="cpu", dtype="float64")
    data = np.load(GOLDEN / name / "golden.npz")
    arrays = {key: torch.from_numpy(data[key]) for key in data.files if "_input_" in key}
    arrays |= {key: torch.from_numpy(data[key]) for key in data.files if "_mask" in key}
    q_net = model.encode_queries(arrays["query_input_ids"], arrays["query_attention_mask"])
    documents = model.encode_documents(
        arrays["passage_input_ids"], arrays["passage_attention_mask"]
    )
    close(documents, data["passage_embeddings_float64"], 1e-9)
    close(q_net(documents), data["scores_float64"], 1e-9)


@needs_golden
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_golden_loss(name):
    # In float64: the reference's float32 sum is 9e-6 from it, a loss of 19.
    model = load_model(GOLDEN / name, device="cpu", dtype="float64")
    golden = json.loads((GOLDEN / name / "golden.json").read_text())
    loss = golden["loss"]
    query_rows = [golden["query_token_ids"][i] for i in loss["queries"]]
    passage_rows = [golden["passage_token_ids"][i] for row in loss["passages"] for i in row]
    padded = [
        model.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        for rows in (query_rows, passage_rows)
    ]
    output = model(
        padded[0]["input_ids"],
        padded[0]["attention_mask"],
        padded[1]["input_ids"],
        padded[1]["attention_mask"],
        labels=torch.tensor(loss["labels"]),
    )
    for key in ("margin_mse", "cross_entropy"):
        assert output.losses[key].item() == pytest.approx(loss[f"similarity_loss_{key}"], abs=1e-5)
    assert output.loss.item() == pytest.approx(loss["total"], abs=1e-5)
    scores = np.array(golden["scores"])
    rows = [scores[q][p] for q, p in zip(loss["queries"], loss["passages"], strict=True)]
    close(output.similarity, np.array(rows), 1e-4)


@pytest.mark.parametrize("shared", [True, False])
def test_saving_keeps_everything(shared, tmp_path, tiny_model):
    model = new_model(shared_encoder=shared, query_max_length=20, loss_type="cross_entropy")
    model.tokenizer = load_model(tiny_model, device="cpu").tokenizer
    model.save_pretrained(tmp_path)
    again = load_model(tmp_path, device="cpu")
    direct = HypencoderDualEncoder.from_pretrained(tmp_path).eval()
    ids, mask = inputs(3, 10)
    x = torch.randn(4, 32)
    for other in (again, direct):
        assert other.fingerprint == model.fingerprint
        assert torch.equal(other.encode_documents(ids, mask), model.encode_documents(ids, mask))
        assert torch.equal(other.encode_queries(ids, mask)(x), model.encode_queries(ids, mask)(x))
        transformers = (other.query_encoder.transformer, other.passage_encoder.transformer)
        words = [t.embeddings.word_embeddings.weight for t in transformers]
        assert (words[0].data_ptr() == words[1].data_ptr()) is shared
    assert again.query_max_length == 20
    assert again.config.loss_type == ["cross_entropy"]
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert any(name.startswith("passage_encoder") for name in names) is not shared
    assert names | {k for k in model.state_dict() if k.startswith("passage")} == set(
        model.state_dict()
    )


def test_the_fingerprint_follows_the_document_encoder_alone():
    model = new_model(shared_encoder=False)
    first = model.fingerprint
    with torch.no_grad():
        model.query_encoder.transformer.embeddings.word_embeddings.weight[7, 7] += 1
        model.query_encoder.hyper_base_matrices[0][0, 0, 0] += 1
        model.passage_encoder.transformer.pooler.dense.bias[0] += 1
    assert model.fingerprint == first
    with torch.no_grad():
        model.passage_encoder.transformer.embeddings.word_embeddings.weight[7, 7] += 1e-6
    assert model.fingerprint != first
    assert new_model(shared_encoder=False, pooling="mean").fingerprint != first
    # Casting rounds the weights, but it is the same model.
    fingerprint = model.fingerprint
    assert model.cast("cpu", torch.bfloat16).fingerprint == fingerprint


@pytest.mark.parametrize("pooling", ["cls", "mean", "mean_with_pads"])
def test_pooling(pooling):
    model = new_model(pooling=pooling)
    ids, mask = inputs(3, 10)
    states = model.passage_encoder.transformer(ids, attention_mask=mask).last_hidden_state
    real = mask[0].sum()
    wanted = {
        "cls": states[0, 0],
        "mean": states[0, :real].mean(0),
        "mean_with_pads": states[0].sum(0) / real,
    }[pooling]
    assert model.pooling == pooling
    assert torch.allclose(model.encode_documents(ids, mask)[0], wanted, atol=1e-6)


def test_lengths_stay_within_the_positions():
    model = new_model()
    assert (model.query_max_length, model.document_max_length) == (32, 40)
    roberta = HypencoderConfig.from_base(BASE)
    roberta.base_config |= {"model_type": "roberta", "pad_token_id": 1}
    assert HypencoderDualEncoder(roberta).document_max_length == 38


def test_older_configs_name_one_loss():
    config = HypencoderConfig(loss_type="margin_mse", loss_kwargs={"scale": 2.0})
    assert (config.loss_type, config.loss_kwargs) == (["margin_mse"], [{"scale": 2.0}])
    with pytest.raises(ModelError, match=r"2 loss_type but 1 loss_kwargs"):
        HypencoderConfig(loss_type=["margin_mse", "cross_entropy"], loss_kwargs=[{}])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ModelError, match=r"scores vectors of 16 dimensions.* 32"):
        new_model(QNetConfig((16, 16, 1)))
    with pytest.raises(ModelError, match=r"pooling 'median'"):
        new_model(pooling="median")
    with pytest.raises(ModelError, match=r"base_config"):
        HypencoderDualEncoder(
            HypencoderConfig(
                query_encoder_kwargs={"converter_kwargs": {"vector_dimensions": [4, 1]}}
            )
        )


class Examples(torch.utils.data.Dataset):
    """Two queries a batch, three documents each; the teacher likes the first."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int):
        return i


def collate(rows):
    ids, mask = inputs(len(rows), 6, seed=rows[0])
    passage_ids, passage_mask = inputs(3 * len(rows), 12, seed=100 + rows[0])
    return {
        "query_input_ids": ids,
        "query_attention_mask": mask,
        "passage_input_ids": passage_ids,
        "passage_attention_mask": passage_mask,
        "labels": torch.tensor([[3.0, 1.0, -1.0]] * len(rows)),
    }


@pytest.mark.parametrize("shared", [True, False])
def test_a_trainer_trains_and_saves(shared, tmp_path):
    model = new_model(
        shared_encoder=shared,
        loss_type=["margin_mse", "cross_entropy"],
        loss_kwargs=[{}, {"only_use_first_item": True}],
    )
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    trainer = Trainer(
        model,
        TrainingArguments(
            str(tmp_path),
            max_steps=10,
            per_device_train_batch_size=2,
            learning_rate=1e-3,
            report_to=[],
            use_cpu=True,
            save_steps=10,
            logging_steps=1,
            disable_tqdm=True,
            remove_unused_columns=False,
        ),
        train_dataset=Examples(),
        data_collator=collate,
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    after = model.state_dict()
    for name in (
        "query_encoder.transformer.embeddings.word_embeddings.weight",
        "passage_encoder.transformer.embeddings.word_embeddings.weight",
        "query_encoder.hyper_base_matrices.0",
        "query_encoder.key_projections.0.weight",
    ):
        assert not torch.equal(before[name], after[name]), name
    saved = HypencoderDualEncoder.from_pretrained(tmp_path / "checkpoint-10").eval()
    ids, mask = inputs(2, 6)
    model.eval()
    assert torch.equal(saved.encode_documents(ids, mask), model.encode_documents(ids, mask))


class ScaledDot(QNet):
    """A q-net of another make: a projection to `rank` dimensions and a dot product there."""

    class config_class(QNetConfig):
        @property
        def matrix_shapes(self) -> list[tuple[int, int]]:
            return [(self.dim, 5)]

        @property
        def vector_sizes(self) -> list[int]:
            return [5]

    def forward(self, x: torch.Tensor, training: bool) -> torch.Tensor:
        return torch.einsum("qnr,qr->qn", x @ self.matrices[0], self.vectors[0]) / 5**0.5


def test_a_custom_q_net_works_end_to_end(tmp_path, tiny_model):
    register_q_net("scaled_dot", ScaledDot)
    config = q_net_config({"vector_dimensions": [32, 1], "q_net_type": "scaled_dot"})
    model = new_model(config)
    model.tokenizer = load_model(tiny_model, device="cpu").tokenizer
    ids, mask = inputs(3, 10)
    q_net = model.encode_queries(ids, mask)
    assert isinstance(q_net, ScaledDot)
    assert [tuple(t.shape) for t in (*q_net.matrices, *q_net.vectors)] == [(3, 32, 5), (3, 5)]
    x = torch.randn(7, 32)
    wanted = torch.stack(
        [(x @ q_net.matrices[0][i]) @ q_net.vectors[0][i] / 5**0.5 for i in range(3)]
    )
    assert torch.allclose(q_net[1:].score(x), wanted[1:], atol=1e-5)
    model.save_pretrained(tmp_path)
    again = load_model(tmp_path, device="cpu").encode_queries(ids, mask)
    assert torch.allclose(again.score(x), wanted, atol=1e-6)
    with pytest.raises(ModelError, match=r"belongs to ScaledDot"):
        register_q_net("scaled_dot", QNet)


def test_a_full_size_checkpoint_has_the_published_names_and_shapes(tmp_path, tiny_model):
    """bert-base, six blocks: 502 names, 139,603,968 weights, as in jfkback/hypencoder.6_layer."""
    model = HypencoderDualEncoder(HypencoderConfig.from_base(BertConfig(), 6))
    names = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    assert len(names) == 502
    assert sum(parameter.numel() for parameter in model.parameters()) == 139_603_968
    prefix = "query_encoder."
    head = {k: v for k, v in names.items() if k.startswith(prefix) and "transformer" not in k}
    wanted = {}
    for i in range(7):
        rows = 768 if i < 6 else 1
        wanted[f"{prefix}hyper_base_matrices.{i}"] = (1, rows, 768)
        wanted[f"{prefix}weight_query_embeddings.{i}"] = (1, rows, 768)
        wanted[f"{prefix}weight_hyper_projection.{i}.weight"] = (768, 768)
        wanted[f"{prefix}weight_hyper_projection.{i}.bias"] = (768,)
    for i in range(6):
        wanted[f"{prefix}hyper_base_vectors.{i}"] = (1, 768)
        wanted[f"{prefix}bias_query_embeddings.{i}"] = (1, 1, 768)
        wanted[f"{prefix}bias_hyper_projection.{i}.weight"] = (768, 768)
        wanted[f"{prefix}bias_hyper_projection.{i}.bias"] = (768,)
    for j in range(13):
        for kind in ("key", "value"):
            wanted[f"{prefix}{kind}_projections.{j}.weight"] = (768, 768)
            wanted[f"{prefix}{kind}_projections.{j}.bias"] = (768,)
    assert head == wanted
    # As published: pytorch_model.bin, no model_type, no configuration of the base model.
    load_model(tiny_model, device="cpu").tokenizer.save_pretrained(tmp_path)
    config = model.config.to_diff_dict()
    for key in ("model_type", "base_config", "passage_base_config"):
        config.pop(key, None)
    for kwargs in ("query_encoder_kwargs", "passage_encoder_kwargs"):
        config[kwargs]["model_name_or_path"] = "nobody/no-such-base"
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    loaded = load_model(tmp_path, device="cpu")
    assert loaded.fingerprint == model.fingerprint
    assert {name: tuple(w.shape) for name, w in loaded.state_dict().items()} == names
    assert loaded.passage_encoder.transformer.config.num_attention_heads == 12
    del model
    (tmp_path / "pytorch_model.bin").unlink()
    loaded.save_pretrained(tmp_path / "saved")
    with safe_open(tmp_path / "saved" / "model.safetensors", "pt") as file:
        saved = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    assert saved == {k: v for k, v in names.items() if not k.startswith("passage_encoder.")}
