"""The paper's own configuration: it trains, is killed, goes on, and its model searches."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hypserini.index.__main__ import main as index
from hypserini.search.__main__ import main as search

pytestmark = pytest.mark.long

# Every key of the paper's hypencoder.6_layer.yaml. Changed: paths, the widths of a tiny base, and
# how long it trains.
CONFIG = """
model_config:
  tokenizer_pretrained_model_name_or_path: BASE
  query_encoder_kwargs:
    model_name_or_path: BASE
    freeze_transformer: false
    embedding_representation: null
    base_encoder_output_dim: 16
    converter_kwargs:
      vector_dimensions: [16, 16, 16, 16, 16, 16, 16, 1]
      activation_type: relu
      do_residual_on_last: false
  passage_encoder_kwargs:
    model_name_or_path: BASE
    freeze_transformer: false
    pooling_type: cls
  shared_encoder: true
  loss_type:
    - margin_mse
    - cross_entropy
  loss_kwargs:
    - {}
    - {"use_in_batch_negatives": true, "only_use_first_item": true}
data_config:
  training_data_jsonl: DATA
  validation_data_jsonl: null
  positive_filter_type: first
  label_key: score
  num_positives_to_sample: 1
  num_negatives_to_sample: 7
trainer_config:
  hf_trainer_config:
    output_dir: OUT
    overwrite_output_dir: false
    remove_unused_columns: false
    evaluation_strategy: 'no'
    per_device_train_batch_size: 4
    per_device_eval_batch_size: 64
    gradient_accumulation_steps: 1
    dataloader_prefetch_factor: 5
    dataloader_num_workers: 1
    dataloader_persistent_workers: false
    learning_rate: 2.0e-05
    weight_decay: 0.0
    num_train_epochs: 1
    lr_scheduler_type: constant_with_warmup
    warmup_ratio: 0.0
    warmup_steps: 4
    logging_strategy: steps
    logging_steps: 2
    max_steps: 9
    save_strategy: steps
    save_steps: 3
    save_total_limit: null
    save_only_model: false
    bf16: true
    tf32: true
    fp16: false
    run_name: "hypencoder.6_layer"
    disable_tqdm: true
    ddp_find_unused_parameters: true
    fsdp: false
    fsdp_config: null
    report_to: none
    push_to_hub: false
    hub_model_id: null
    hub_strategy: every_save
    hub_private_repo: true
    gradient_checkpointing: false
    save_safetensors: false
    adam_beta1: 0.9
    adam_beta2: 0.999
    adam_epsilon: 1.0e-08
    torch_compile: false
  resume_from_checkpoint: true
"""


def test_the_papers_configuration_trains_resumes_and_searches(
    tokenizer: Path, command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    tiny = BertConfig(
        vocab_size=200,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(tiny).save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(tmp_path / "base")
    words = "apple pear plum train bus tram violin flute drum red".split()
    with open(tmp_path / "train.jsonl", "w") as file:
        for n in range(24):
            items = [
                {"id": f"{n}-{m}", "content": f"{words[(n + m) % 10]} number {n}", "score": 9.0 - m}
                for m in range(9)
            ]
            query = {"id": str(n), "content": words[n % 10]}
            file.write(json.dumps({"query": query, "items": items}) + "\n")
    paths = {}
    for name in ("killed", "whole"):
        paths[name] = tmp_path / f"{name}.yaml"
        text = CONFIG.replace("BASE", str(tmp_path / "base")).replace("OUT", str(tmp_path / name))
        paths[name].write_text(text.replace("DATA", str(tmp_path / "train.jsonl")))
    command(paths["killed"], "--quiet", killed_at=8)
    model = tmp_path / "killed"
    assert sorted(path.name for path in model.iterdir()) == ["checkpoint-3", "checkpoint-6"]
    said = command(*paths.values(), one_by_one=True).stderr  # the killed one goes on
    assert "evaluation_strategy is now called eval_strategy" in said
    assert "step 8: loss" in said
    weights = [load_file(tmp_path / n / "model.safetensors") for n in ("killed", "whole")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    begun = load_file(tmp_path / "base" / "model.safetensors")["embeddings.word_embeddings.weight"]
    trained = weights[0]["query_encoder.transformer.embeddings.word_embeddings.weight"]
    assert not torch.equal(begun, trained)

    (tmp_path / "corpus.jsonl").write_text(
        "".join(json.dumps({"id": w, "contents": f"{w} number"}) + "\n" for w in words)
    )
    (tmp_path / "topics.tsv").write_text("1\tapple\n2\tdrum\n")
    made, run = tmp_path / "index", tmp_path / "run.txt"
    common = ["--index", str(made), "--quiet"]
    # A checkpoint within the run is a model as well as the model at its end.
    collection = ["--collection", str(tmp_path / "corpus.jsonl")]
    assert index([*common, *collection, "--model", str(model)]) == 0
    topics = ["--topics", str(tmp_path / "topics.tsv"), "--hits", "5"]
    assert search([*common, *topics, "--output", str(run), "--mode", "exhaustive"]) == 0
    assert [line.split()[0] for line in run.read_text().splitlines()] == ["1"] * 5 + ["2"] * 5
    earlier = ["--index", str(tmp_path / "earlier"), "--quiet"]
    assert index([*earlier, *collection, "--model", str(model / "checkpoint-6")]) == 0
