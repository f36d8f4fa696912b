"""A writer of Lucene indexes that knows nothing of ours."""

from __future__ import annotations

from pathlib import Path

from hypserini import jvm


class PlainWriter:
    """Adds documents with Lucene's own classes, as a foreign indexer would."""

    def __init__(self, path: Path) -> None:
        folder = jvm.java_class("java.nio.file.Paths").get(str(path))
        directory = jvm.java_class("org.apache.lucene.store.FSDirectory").open(folder)
        config = jvm.java_class("org.apache.lucene.index.IndexWriterConfig")()
        self.writer = jvm.java_class("org.apache.lucene.index.IndexWriter")(directory, config)

    def add(self, docid: str, vector: list[float] | None, *, doc_values: bool) -> None:
        fields = "org.apache.lucene.document."
        document = jvm.java_class(fields + "Document")()
        store = jvm.java_class(fields + "Field$Store").YES
        document.add(jvm.java_class(fields + "StringField")("id", docid, store))
        if doc_values:
            value = jvm.java_class("org.apache.lucene.util.BytesRef")(docid.encode())
            document.add(jvm.java_class(fields + "BinaryDocValuesField")("id", value))
        if vector is not None:
            similarity = jvm.java_class("org.apache.lucene.index.VectorSimilarityFunction")
            field = jvm.java_class(fields + "KnnFloatVectorField")
            document.add(field("vector", vector, similarity.DOT_PRODUCT))
        self.writer.addDocument(document)

    def close(self) -> None:
        self.writer.close()
