"""What the user says of encoding goes before what is recorded."""

from hypserini.settings import AS_THE_FOLDER_SAYS, EncodingSettings


def test_flags_put_a_space_between_prefix_and_text_as_pyserini_does():
    flags = EncodingSettings.from_flags(query_prefix="query:", document_prefix="passage: ")
    assert (flags.query_prefix, flags.document_prefix) == ("query: ", "passage: ")
    nothing = EncodingSettings.from_flags(query_prefix="", l2_norm=False)
    assert nothing == EncodingSettings(None, False, "", None)
    assert EncodingSettings.from_flags() == AS_THE_FOLDER_SAYS


def test_what_is_not_said_is_taken_from_below():
    recorded = EncodingSettings("mean", True, "query: ", "passage: ")
    said = EncodingSettings(l2_norm=False, query_prefix="")
    assert said.over(recorded) == EncodingSettings("mean", False, "", "passage: ")
    assert AS_THE_FOLDER_SAYS.over(recorded) == recorded
