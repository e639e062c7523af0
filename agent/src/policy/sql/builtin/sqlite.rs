//! SQLite's functions without side effects, from its documentation of core, date, mathematical,
//! aggregate, window, JSON and full-text functions, and the table-valued ones.

/// Scalar, aggregate and window functions.
pub(super) const PURE: &str = "\
    abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce concat \
    concat_ws cos cosh count cume_dist current_date current_time current_timestamp date datetime \
    degrees dense_rank exp first_value floor format glob group_concat hex highlight ifnull if iif \
    instr json json_array json_array_length json_each json_error_position json_extract \
    json_group_array json_group_object json_insert json_object json_patch json_pretty json_quote \
    json_remove json_replace json_set json_tree json_type json_valid jsonb jsonb_array jsonb_each \
    jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch \
    jsonb_remove jsonb_replace jsonb_set jsonb_tree julianday lag last_insert_rowid last_value \
    lead length like likelihood likely ln log log10 log2 lower ltrim match matchinfo max median \
    min mod nth_value ntile nullif octet_length offsets percent_rank percentile percentile_cont \
    percentile_disc pi pow power printf quote radians random randomblob rank regexp replace round \
    row_number rtrim sha1 sha3 sign sin sinh snippet soundex sqlite_compileoption_get \
    sqlite_compileoption_used sqlite_offset sqlite_source_id sqlite_version sqrt string_agg \
    strftime substr substring subtype sum tan tanh time timediff total total_changes trim trunc \
    typeof unhex unicode unistr unistr_quote unixepoch unlikely upper uuid uuid_blob uuid_str \
    zeroblob \
    ";

/// Functions that stand in `FROM`, among them the pragmas that only tell.
pub(super) const TABLES: &str = "\
    generate_series json_each json_tree jsonb_each jsonb_tree pragma_collation_list \
    pragma_compile_options pragma_database_list pragma_encoding pragma_foreign_key_check \
    pragma_foreign_key_list pragma_freelist_count pragma_function_list pragma_index_info \
    pragma_index_list pragma_index_xinfo pragma_page_count pragma_page_size \
    pragma_schema_version pragma_table_info pragma_table_list pragma_table_xinfo \
    pragma_user_version \
    ";

/// Virtual tables that read files or the database's pages, and need no brackets to do so.
pub(super) const VIRTUAL: &str = "\
    bytecode completion csv dbstat fsdir lsdir sqlite_dbdata sqlite_dbpage sqlite_dbptr \
    sqlite_memstat sqlite_stmt swarmvtab tables_used unionvtab vsv zipfile \
    ";
