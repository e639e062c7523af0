//! MySQL's and MariaDB's functions without side effects, from the function index of the MySQL 8.4
//! manual: without those that sleep, lock, wait, read files or keep keys.

/// Numbers, text, dates, JSON, aggregates, windows, and what the server tells of itself.
pub(super) const PURE: &str = "\
    abs acos adddate addtime aes_decrypt aes_encrypt any_value ascii asin atan atan2 avg bin \
    bin_to_uuid binary bit_and bit_count bit_length bit_or bit_xor can_access_column \
    can_access_database can_access_table cast ceil ceiling char char_length character_length \
    charset coalesce coercibility collation compress concat concat_ws connection_id conv convert \
    convert_tz cos cot count crc32 cume_dist curdate current_date current_role current_time \
    current_timestamp current_user curtime database date date_add date_format date_sub datediff \
    day dayname dayofmonth dayofweek dayofyear default degrees dense_rank distance elt exp \
    export_set extract extractvalue field find_in_set first_value floor format format_bytes \
    format_pico_time found_rows from_base64 from_days from_unixtime from_vector get_format \
    greatest group_concat grouping gtid_subset gtid_subtract hex hour icu_version if ifnull in \
    inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr interval is_free_lock is_ipv4 \
    is_ipv4_compat is_ipv4_mapped is_ipv6 is_used_lock is_uuid isnull json_array json_array_append \
    json_array_insert json_arrayagg json_contains json_contains_path json_depth json_exists \
    json_extract json_insert json_keys json_length json_merge json_merge_patch \
    json_merge_preserve json_object json_objectagg json_overlaps json_pretty json_quote \
    json_remove json_replace json_schema_valid json_schema_validation_report json_search json_set \
    json_storage_free json_storage_size json_table json_type json_unquote json_valid json_value \
    lag last_day last_value lcase lead least left length ln localtime localtimestamp locate log \
    log10 log2 lower lpad ltrim make_set makedate maketime match max md5 median microsecond mid \
    min minute mod month monthname name_const now nth_value ntile nullif nvl nvl2 oct octet_length \
    ord percent_rank percentile_cont percentile_disc period_add period_diff pi position pow power \
    quarter quote radians rand random_bytes rank regexp_instr regexp_like regexp_replace \
    regexp_substr repeat replace reverse right roles_graphml round row row_count row_number rpad \
    rtrim schema sec_to_time second session_user sha sha1 sha2 sign sin soundex space sqrt \
    st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_buffer st_centroid st_contains \
    st_crosses st_difference st_dimension st_disjoint st_distance st_distance_sphere st_envelope \
    st_equals st_geohash st_geomfromgeojson st_geomfromtext st_geomfromwkb st_geometryfromtext \
    st_geometrytype st_intersection st_intersects st_isclosed st_isempty st_issimple st_isvalid \
    st_latfromgeohash st_latitude st_length st_longfromgeohash st_longitude st_makeenvelope \
    st_numpoints st_overlaps st_pointfromgeohash st_pointfromtext st_simplify st_srid \
    st_symdifference st_touches st_transform st_union st_within st_x st_y statement_digest \
    statement_digest_text std stddev stddev_pop stddev_samp str_to_date strcmp string_to_vector \
    subdate substr substring substring_index subtime sum sysdate system_user tan time time_format \
    time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_char to_days to_seconds \
    to_vector trim truncate ucase uncompress uncompressed_length unhex unix_timestamp updatexml \
    upper user utc_date utc_time utc_timestamp uuid uuid_to_bin \
    validate_password_strength values var_pop var_samp variance vector_dim vector_to_string \
    version week weekday weekofyear weight_string year yearweek \
    ";
