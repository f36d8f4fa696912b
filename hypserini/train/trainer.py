"""Training on transformers' Trainer."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini.errors import TrainingError
from hypserini.modeling.losses import needs_labels
from hypserini.train.checkpoints import starting_point
from hypserini.train.collator import Collator
from hypserini.train.data.opening import training_data, validation_data
from hypserini.train.data.passage_vectors import PassageVectors
from hypserini.train.recipe.arguments import training_arguments
from hypserini.train.recipe.building import build_model
from hypserini.train.recipe.config import TrainingConfig, ValidationSection
from hypserini.train.recipe.optimizer import factored_optimizer
from hypserini.train.report.card import model_card
from hypserini.train.report.plot import NAME as PICTURE

if TYPE_CHECKING:
    from hypserini.train.retrieval_trainer import RetrievalTrainer
    from hypserini.train.validation import RetrievalValidation

logger = logging.getLogger(__name__)


def train(config: TrainingConfig, *, progress: bool = True) -> Path:
    """Train the model that the configuration describes and save it into its `output_dir`.

    With several processes, each calls this; see `torchrun` and `accelerate launch`.

    Returns:
        The folder, which `hypserini.load_model` reads.

    Raises:
        TrainingError: the configuration or the data cannot be used, or the loss is no longer a
            number; says at which step.
        ModelError: a model that the configuration names cannot be loaded.
    """
    section = config.trainer_config
    _need_accelerate()
    has_losses = config.data_config.kind("validation") is not None
    arguments = training_arguments(section, config.source, has_losses=has_losses)
    arguments.disable_tqdm = arguments.disable_tqdm or not progress
    trainer = make_trainer(config, arguments)
    overwrite = bool(section.hf_trainer_config.get("overwrite_output_dir"))
    with arguments.main_process_first(local=False):
        start = starting_point(
            arguments.output_dir, section.resume_from_checkpoint, overwrite=overwrite
        )
    if start:
        logger.info("Going on from %s.", start)
    trainer.train(resume_from_checkpoint=start)
    trainer.finish()
    return Path(arguments.output_dir)


def make_trainer(config: TrainingConfig, arguments: Any) -> RetrievalTrainer:
    """Make the Trainer with its model, data and collator; seeded before the model is made.

    Raises:
        TrainingError, ModelError: as `train`.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _need_accelerate()
    from transformers import set_seed

    from hypserini.train.retrieval_trainer import RetrievalTrainer
    from hypserini.train.stopping import PatientStopping

    section, labels = config.trainer_config, needs_labels(config.model_config.loss_type)
    seed = arguments.data_seed if arguments.data_seed is not None else arguments.seed
    drawing: dict[str, Any] = {"labels": labels, "seed": seed, "source": config.source}
    named = config.model_config.passage_vectors
    vectors = PassageVectors(named, config.source) if named else None
    drawing["by_docid"] = vectors is not None
    train_dataset = training_data(config.data_config, **drawing)
    loss_data = validation_data(config.data_config, **drawing)
    retrieval = _retrieval(section.validation, seed, vectors)
    set_seed(arguments.seed)
    model = build_model(config, vectors.recorded if vectors else None)
    store = None
    if vectors is not None:
        examples = train_dataset.docids() | (loss_data.docids() if loss_data else set())
        ranked = set(retrieval.task.documents) if retrieval else set()
        data = config.data_config
        files = getattr(data, f"training_{data.kind('training')}")
        by = ", ".join(files) if isinstance(files, list) else files
        store = vectors.load(examples | ranked, by)
        if retrieval is not None:
            retrieval.vectors = store
    callbacks = []
    if section.early_stopping_patience is not None:
        callbacks.append(
            PatientStopping(section.early_stopping_patience, section.early_stopping_threshold)
        )

    def card(trainer: RetrievalTrainer, folder: Path) -> str:
        state = trainer.state
        at_end = folder == Path(arguments.output_dir)
        best = state.best_model_checkpoint if at_end and arguments.load_best_model_at_end else None
        return model_card(
            model,
            config,
            arguments,
            step=state.global_step,
            examples=len(train_dataset),
            history=state.log_history,
            best=Path(best).name if best else None,
            with_picture=at_end and (folder / PICTURE).is_file(),
        )

    try:
        return RetrievalTrainer(
            retrieval=retrieval,
            loss_data=loss_data,
            card=card,
            model=model,
            args=arguments,
            train_dataset=train_dataset,
            data_collator=Collator(
                model.tokenizer,
                query_max_length=model.query_max_length,
                document_max_length=model.document_max_length,
                query_prefix=model.config.query_prefix,
                document_prefix=model.config.document_prefix,
                vocabulary=model.vocabulary_size,
                labels=labels,
                vectors=store,
            ),
            callbacks=callbacks,
            optimizers=(
                factored_optimizer(model, section.learning_rate_factors, arguments, config.source),
                None,
            ),
        )
    except (ValueError, ImportError, RuntimeError) as error:
        message = " ".join(str(error).split())
        raise TrainingError(f"{config.source}, hf_trainer_config: {message}") from error


def _need_accelerate() -> None:
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise TrainingError("training needs accelerate: pip install 'hypserini[train]'.") from error


def _retrieval(
    section: ValidationSection | None, seed: int, vectors: PassageVectors | None
) -> RetrievalValidation | None:
    if section is None:
        return None
    from hypserini.train.retrieval_set import read_retrieval_set
    from hypserini.train.validation import RetrievalValidation

    task = read_retrieval_set(
        section.beir,
        split=section.split,
        queries=section.queries,
        documents=section.documents,
        qrels=section.qrels,
        max_queries=section.max_queries,
        max_documents=section.max_documents,
        seed=seed,
        docids=vectors.docids() if vectors is not None else None,
    )
    return RetrievalValidation(task, section.measures, batch_size=section.batch_size)
