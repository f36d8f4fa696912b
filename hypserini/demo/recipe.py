"""The recipe of the bundled model and of those it is compared with, as training configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VOCABULARY = 16_384
WIDTH = 256
POSITIONS = 128
QUERY_LENGTH = 32
DOCUMENT_LENGTH = 128

MODELS: Mapping[str, int] = {
    "bi-encoder": 0,
    "hypencoder-2": 2,
    "hypencoder-4": 4,
    "hypencoder-6": 6,
}
"""The models that are trained alike, and the hidden blocks of their q-nets."""

BUNDLED = "hypencoder-2"

WORD_BATCH = 512
BATCH = 128
MINED_BATCH = 64
MINED_NEGATIVES = 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every stage of the training has in common.

    Attributes:
        folder: where everything is written; the tokenizer lies in it, and each model in a folder
            of its own.
        seed: of weights and drawings.
        use_cpu: leave a GPU alone.
    """

    folder: Path
    seed: int = 1
    use_cpu: bool = False

    def words(self, data: Path, steps: int) -> dict[str, Any]:
        """The first stage: a bi-encoder of the words alone, by whose weights the others begin."""
        config = self._config(self.folder / "words", "bi-encoder", data, steps, WORD_BATCH)
        config["trainer_config"]["hf_trainer_config"] |= {
            "learning_rate": 3e-3,
            "warmup_steps": 50,
            "adam_beta2": 0.98,
        }
        return config

    def model(self, name: str, data: Path, steps: int) -> dict[str, Any]:
        """The second stage: one of `MODELS` on pairs, with the batch's other documents alone."""
        config = self._config(self.folder / name, name, data, steps, BATCH)
        return self._from_words(config, name, 3e-4)

    def mined(self, name: str, data: Path, steps: int) -> dict[str, Any]:
        """The second stage with mined negatives beside them."""
        target = self.folder / f"{name}-mined"
        config = self._config(target, name, data, steps, MINED_BATCH)
        config["data_config"]["num_negatives_to_sample"] = MINED_NEGATIVES
        return self._from_words(config, name, 3e-4 if MODELS[name] else 1e-3)

    def _from_words(self, config: dict[str, Any], name: str, rate: float) -> dict[str, Any]:
        """Begin as the words, and go on learning them at `rate`; the hyper head learns slower.

        Each kind of model has the rates with which it did best on the validation topics.
        """
        config["model_config"]["initial_weights"] = str(self.folder / "words")
        head_rate = 2e-5 if MODELS[name] else rate
        trainer = config["trainer_config"]
        trainer["hf_trainer_config"] |= {"learning_rate": head_rate, "warmup_steps": 20}
        if head_rate != rate:
            trainer["learning_rate_factors"] = {r"transformer\.embeddings": rate / head_rate}
        return config

    def _config(
        self, target: Path, name: str, data: Path, steps: int, batch: int
    ) -> dict[str, Any]:
        hypencoder = MODELS[name] > 0
        model: dict[str, Any] = {
            "model_type": "hypencoder" if hypencoder else "biencoder",
            "base_config": _BASE,
            "tokenizer_pretrained_model_name_or_path": str(self.folder / "tokenizer"),
            "passage_encoder_kwargs": {"pooling_type": "mean"},
            "normalize": True,
            "loss_type": "cross_entropy",
            # Cosines are spread out by their temperature, the q-net's scores by its weights.
            "loss_kwargs": {"temperature": 1.0 if hypencoder else 0.04},
        }
        if hypencoder:
            widths = [WIDTH] * (MODELS[name] + 1) + [1]
            q_net = {"vector_dimensions": widths, "do_residual_on_last": True}
            model["query_encoder_kwargs"] = {"converter_kwargs": q_net}
            model["head_initialization"] = "bi-encoder"
        return {
            "model_config": model,
            "data_config": {
                "training_data_jsonl": str(data),
                "query_max_length": QUERY_LENGTH,
                "document_max_length": DOCUMENT_LENGTH,
            },
            "trainer_config": {
                "hf_trainer_config": {
                    "output_dir": str(target),
                    "max_steps": steps,
                    "per_device_train_batch_size": batch,
                    # The pairs already stand in the order of training.
                    "train_sampling_strategy": "sequential",
                    "dataloader_drop_last": True,
                    "bf16": True,
                    "logging_steps": 20,
                    "save_strategy": "no",
                    "eval_strategy": "steps",
                    "eval_steps": max(1, steps // 3),
                    "seed": self.seed,
                    "use_cpu": self.use_cpu,
                },
                "validation": {
                    "queries": str(self.folder / "validation/topics.tsv"),
                    "documents": str(self.folder / "validation/docs.jsonl"),
                    "qrels": str(self.folder / "validation/qrels.txt"),
                    "batch_size": 32,
                },
            },
        }


# A BERT without layers: the mean of a text's word and position embeddings. Layers took three times
# as long to train on a CPU and learned nothing more in that time.
_BASE = {
    "model_type": "bert",
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 0,
    "num_attention_heads": 4,
    "intermediate_size": 2 * WIDTH,
    "max_position_embeddings": POSITIONS,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
