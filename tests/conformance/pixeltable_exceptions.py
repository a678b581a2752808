"""What the contract of engines asks for and Pixeltable has no meaning for, with the reasons.

A name is a test's, or that of one of its cases. Each is a strict expected failure: a case that
passes after all fails the run.
"""

from __future__ import annotations

ROUND_TRIPS = ("test_round_trip", "test_made_by_a_stream")


def _of_types(*names: str) -> tuple[str, ...]:
    """The round trips of values of some types."""
    return tuple(f"{test}[{name}]" for test in ROUND_TRIPS for name in names)


EXCEPTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Pixeltable's integers have 64 bits, one of them for the sign.",
        (
            *_of_types("uint64"),
            "test_keys_of_several_types[upsert-uint64]",
            "test_keys_of_several_types[merge-uint64]",
        ),
    ),
    (
        "PostgreSQL has no text with a NUL.",
        _of_types(*(f"{kind} with a NUL" for kind in ("string", "large_string", "string_view"))),
    ),
    (
        "Pixeltable's arrays, which are what it searches by, hold no nulls.",
        _of_types("fixed_size_list<item: float>[3]"),
    ),
    (
        "Pixeltable keeps the value that JSON says, and not its text.",
        _of_types("arrow.json of string"),
    ),
    (
        "Pixeltable finds no row by a key of bytes.",
        ("test_keys_of_several_types[upsert-binary]", "test_keys_of_several_types[merge-binary]"),
    ),
    (
        "Pixeltable has no constraints of columns.",
        (
            "test_values_and_constraints",
            "test_constraints_that_cannot_be",
        ),
    ),
    (
        "Pixeltable's columns have no defaults.",
        (
            "test_columns_left_out_get_their_default",
            "test_defaults_in_an_upsert",
            "test_defaults_of_several_types",
            "test_a_spec_that_contradicts_itself[spec4-ErrorCode.COLUMN_NOT_FOUND]",
            "test_a_spec_that_contradicts_itself[spec5-ErrorCode.INVALID_SQL]",
        ),
    ),
    (
        "Pixeltable's tables have no partitions.",
        (
            "test_columns_of_key_and_partitioning_stay",
            "test_rename_column",
            "test_the_whole_spec_comes_out",
            "test_a_spec_that_contradicts_itself[spec1-ErrorCode.COLUMN_NOT_FOUND]",
            "test_a_spec_that_contradicts_itself[spec2-ErrorCode.COLUMN_NOT_FOUND]",
            "test_a_spec_that_contradicts_itself[spec3-ErrorCode.COLUMN_NOT_FOUND]",
        ),
    ),
    (
        "Pixeltable calls tables, columns and directories by letters, digits and '_' only.",
        (
            'test_a_table_of_any_name[double "quotes"]',
            "test_a_table_of_any_name[single 'quotes']",
            "test_a_table_of_any_name[a/b\\\\c]",
            "test_a_table_of_any_name[\\U0001f6e9\\ufe0f flights]",
            "test_a_table_of_any_name[with  spaces ]",
            "test_a_table_of_any_name[dots.and:colons]",
            "test_a_table_of_any_name[x; drop table t; --]",
            "test_a_table_of_any_name[\\xdcn\\xefc\\xf8d\\xe9]",
            "test_a_table_of_any_name[1st]",
            "test_a_table_of_any_name[%20]",
            "test_columns_of_any_name",
            "test_create_use_and_drop[weird \"quotes\" and 'more']",
            "test_create_use_and_drop[\\u7a7a \\u9593]",
            "test_create_use_and_drop[dotted.name]",
            "test_create_use_and_drop[\\U0001f6e9\\ufe0f]",
        ),
    ),
    (
        "Pixeltable keeps names of tables and directories in lower case.",
        (
            "test_found_in_any_case",
            "test_columns_are_found_in_any_case",
            "test_rename_changes_case",
        ),
    ),
    (
        "Pixeltable's key is unique, stays as it is, and no request has another.",
        (
            "test_update_with_expressions",
            "test_a_null_in_the_key",
            "test_the_key_is_not_a_column",
            "test_the_requests_key_comes_first",
            "test_append",
            "test_set_nullable",
        ),
    ),
    (
        "Pixeltable changes neither the type of a column nor the key of a table.",
        (
            "test_add_column_with_default",
            "test_retype_column",
            "test_retype_a_column_that_was_added",
            "test_retype_a_column_in_the_place_of_another",
            "test_retype_that_would_lose",
            "test_set_default",
            "test_set_key",
            "test_set_comment_and_partitioning",
            "test_alterations_that_cannot_be_made[AddColumn(field=pyarrow.Field<n: int8>, "
            "default='1 +')]",
            "test_alterations_that_cannot_be_made[RetypeColumn(name='nope', type=DataType(int64))]",
            "test_alterations_that_cannot_be_made[RetypeColumn(name='name', type=DataType(int64))]",
            "test_alterations_that_cannot_be_made[SetDefault(name='nope', default='1')]",
            "test_alterations_that_cannot_be_made[SetDefault(name='amount', default='1 +')]",
            "test_alterations_that_cannot_be_made[SetNullable(name='amount', nullable=False)]",
            "test_alterations_that_cannot_be_made[SetKey(key=('nope',))]",
            "test_alterations_that_cannot_be_made[SetPartitioning(partition_by=('nope',))]",
        ),
    ),
    (
        "Pixeltable adds columns in a transaction of their own: other changes are sent apart.",
        (
            "test_alterations_that_cannot_be_made[DropColumn(name='nope')]",
            "test_alterations_that_cannot_be_made[DropColumn(name='id')]",
            "test_alterations_that_cannot_be_made[RenameColumn(name='nope', new_name='x')]",
            "test_alterations_that_cannot_be_made[RenameColumn(name='name', new_name='Amount')]",
            "test_alterations_that_cannot_be_made[RenameColumn(name='name', new_name='')]",
            "test_alterations_that_cannot_be_made[SetNullable(name='nope', nullable=True)]",
        ),
    ),
    (
        "Pixeltable's directories stand in others, and its tables are moved between them.",
        (
            "test_rename_into_another_namespace",
            "test_create_use_and_drop[a/b/c]",
        ),
    ),
    (
        "Pixeltable drops a table with all of its versions.",
        ("test_a_dropped_table_can_still_be_read_as_it_was",),
    ),
)

# What the short form runs: of each kind of thing that an engine does, one or two tests.
SHORT = frozenset(
    (
        "test_abilities",
        "test_namespaces_are_listed_in_order",
        "test_describe",
        "test_a_missing_table_is_named",
        "test_rename",
        "test_a_table_of_any_name[1st]",
        "test_drop_column",
        "test_two_columns_swap_names",
        "test_create",
        "test_upsert",
        "test_merge",
        "test_columns_are_matched_by_name",
        "test_a_column_too_many[append]",
        "test_a_client_that_left",
        "test_row_ids_stay[upsert]",
        "test_a_repeated_token[append]",
        "test_two_clients_at_once",
        "test_a_broken_stream_goes_on",
        "test_other_content_cannot_go_on",
        "test_commits_as_it_goes[every0]",
        "test_filter[id >= 2 AND amount IS NULL-ids2]",
        "test_order[name DESC-ids3]",
        "test_limit_and_offset",
        "test_update_of_everything",
        "test_delete",
        "test_the_nearest_come_first[cosine]",
        "test_values_and_constraints[int8 {'minimum': 0.5, 'maximum': 3.5}]",
        "test_safe[int64-decimal128(5, 2)]",
        "test_round_trip[int8]",
        "test_round_trip[timestamp[ms, tz=Europe/Berlin]]",
        "test_round_trip[map<string, int64>]",
        "test_unsafe[int64-int32]",
    )
)
