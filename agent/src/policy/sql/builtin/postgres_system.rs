//! PostgreSQL's functions that tell about the system, and those of extensions.

/// Functions that tell about the catalogue, the server and its statistics.
pub(super) const SYSTEM: &str = "\
    has_any_column_privilege has_column_privilege has_database_privilege \
    has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege \
    has_parameter_privilege has_schema_privilege has_sequence_privilege has_server_privilege \
    has_table_privilege has_tablespace_privilege has_type_privilege inet_client_addr \
    inet_client_port inet_server_addr inet_server_port pg_available_extension_versions \
    pg_available_extensions pg_backend_pid pg_basetype pg_blocking_pids pg_char_to_encoding \
    pg_client_encoding pg_collation_actual_version pg_collation_for pg_collation_is_visible \
    pg_column_compression pg_column_is_updatable pg_column_size pg_conf_load_time pg_config \
    pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system \
    pg_conversion_is_visible pg_current_snapshot pg_current_wal_flush_lsn \
    pg_current_wal_insert_lsn pg_current_wal_lsn pg_current_xact_id_if_assigned pg_cursor \
    pg_database_collation_actual_version pg_database_size pg_ddl_command_in pg_ddl_command_out \
    pg_ddl_command_recv pg_ddl_command_send pg_dependencies_in pg_dependencies_out \
    pg_dependencies_recv pg_dependencies_send pg_describe_object pg_encoding_max_length \
    pg_encoding_to_char pg_extension_update_paths pg_filenode_relation pg_function_is_visible \
    pg_get_acl pg_get_backend_memory_contexts pg_get_catalog_foreign_keys pg_get_constraintdef \
    pg_get_expr pg_get_function_arg_default pg_get_function_arguments \
    pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody \
    pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_multixact_members \
    pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef \
    pg_get_publication_tables pg_get_replica_identity_index pg_get_replication_slots \
    pg_get_ruledef pg_get_serial_sequence pg_get_shmem_allocations pg_get_statisticsobjdef \
    pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef \
    pg_get_userbyid pg_get_viewdef pg_get_wal_replay_pause_state pg_get_wal_resource_managers \
    pg_get_wal_summarizer_state pg_has_role pg_identify_object pg_identify_object_as_address \
    pg_index_column_has_property pg_index_has_property pg_indexam_has_property \
    pg_indexam_progress_phasename pg_indexes_size pg_input_error_info pg_input_is_valid \
    pg_is_in_recovery pg_is_other_temp_schema pg_is_wal_replay_paused \
    pg_isolation_test_session_is_blocked pg_jit_available pg_last_committed_xact \
    pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp \
    pg_listening_channels pg_lock_status pg_lsn pg_lsn_cmp pg_lsn_eq pg_lsn_ge pg_lsn_gt \
    pg_lsn_hash pg_lsn_hash_extended pg_lsn_in pg_lsn_larger pg_lsn_le pg_lsn_lt pg_lsn_mi \
    pg_lsn_mii pg_lsn_ne pg_lsn_out pg_lsn_pli pg_lsn_recv pg_lsn_send pg_lsn_smaller \
    pg_mcv_list_in pg_mcv_list_items pg_mcv_list_out pg_mcv_list_recv pg_mcv_list_send \
    pg_my_temp_schema pg_ndistinct_in pg_ndistinct_out pg_ndistinct_recv pg_ndistinct_send \
    pg_node_tree_in pg_node_tree_out pg_node_tree_recv pg_node_tree_send \
    pg_notification_queue_usage pg_opclass_is_visible pg_operator_is_visible \
    pg_opfamily_is_visible pg_options_to_table pg_partition_ancestors pg_partition_root \
    pg_partition_tree pg_postmaster_start_time pg_prepared_statement pg_prepared_xact \
    pg_relation_filenode pg_relation_filepath pg_relation_is_publishable \
    pg_relation_is_updatable pg_relation_size pg_replication_origin_oid \
    pg_replication_origin_progress pg_safe_snapshot_blocking_pids pg_sequence_last_value \
    pg_sequence_parameters pg_settings_get_flags pg_show_all_settings \
    pg_show_replication_origin_status pg_size_bytes pg_size_pretty pg_snapshot_in \
    pg_snapshot_out pg_snapshot_recv pg_snapshot_send pg_snapshot_xip pg_snapshot_xmax \
    pg_snapshot_xmin pg_split_walfile_name pg_stat_get_activity pg_stat_get_analyze_count \
    pg_stat_get_archiver pg_stat_get_autoanalyze_count pg_stat_get_autovacuum_count \
    pg_stat_get_backend_activity pg_stat_get_backend_activity_start \
    pg_stat_get_backend_client_addr pg_stat_get_backend_client_port pg_stat_get_backend_dbid \
    pg_stat_get_backend_idset pg_stat_get_backend_pid pg_stat_get_backend_start \
    pg_stat_get_backend_subxact pg_stat_get_backend_userid pg_stat_get_backend_wait_event \
    pg_stat_get_backend_wait_event_type pg_stat_get_backend_xact_start \
    pg_stat_get_bgwriter_buf_written_checkpoints pg_stat_get_bgwriter_buf_written_clean \
    pg_stat_get_bgwriter_maxwritten_clean pg_stat_get_bgwriter_requested_checkpoints \
    pg_stat_get_bgwriter_stat_reset_time pg_stat_get_bgwriter_timed_checkpoints \
    pg_stat_get_blocks_fetched pg_stat_get_blocks_hit pg_stat_get_buf_alloc \
    pg_stat_get_buf_fsync_backend pg_stat_get_buf_written_backend \
    pg_stat_get_checkpoint_sync_time pg_stat_get_checkpoint_write_time \
    pg_stat_get_db_active_time pg_stat_get_db_blk_read_time pg_stat_get_db_blk_write_time \
    pg_stat_get_db_blocks_fetched pg_stat_get_db_blocks_hit pg_stat_get_db_checksum_failures \
    pg_stat_get_db_checksum_last_failure pg_stat_get_db_conflict_all \
    pg_stat_get_db_conflict_bufferpin pg_stat_get_db_conflict_lock \
    pg_stat_get_db_conflict_snapshot pg_stat_get_db_conflict_startup_deadlock \
    pg_stat_get_db_conflict_tablespace pg_stat_get_db_deadlocks \
    pg_stat_get_db_idle_in_transaction_time pg_stat_get_db_numbackends \
    pg_stat_get_db_session_time pg_stat_get_db_sessions pg_stat_get_db_sessions_abandoned \
    pg_stat_get_db_sessions_fatal pg_stat_get_db_sessions_killed pg_stat_get_db_stat_reset_time \
    pg_stat_get_db_temp_bytes pg_stat_get_db_temp_files pg_stat_get_db_tuples_deleted \
    pg_stat_get_db_tuples_fetched pg_stat_get_db_tuples_inserted pg_stat_get_db_tuples_returned \
    pg_stat_get_db_tuples_updated pg_stat_get_db_xact_commit pg_stat_get_db_xact_rollback \
    pg_stat_get_dead_tuples pg_stat_get_function_calls pg_stat_get_function_self_time \
    pg_stat_get_function_total_time pg_stat_get_ins_since_vacuum pg_stat_get_io \
    pg_stat_get_last_analyze_time pg_stat_get_last_autoanalyze_time \
    pg_stat_get_last_autovacuum_time pg_stat_get_last_vacuum_time pg_stat_get_live_tuples \
    pg_stat_get_mod_since_analyze pg_stat_get_numscans pg_stat_get_progress_info \
    pg_stat_get_recovery_prefetch pg_stat_get_replication_slot pg_stat_get_slru \
    pg_stat_get_snapshot_timestamp pg_stat_get_subscription pg_stat_get_subscription_stats \
    pg_stat_get_tuples_deleted pg_stat_get_tuples_fetched pg_stat_get_tuples_hot_updated \
    pg_stat_get_tuples_inserted pg_stat_get_tuples_returned pg_stat_get_tuples_updated \
    pg_stat_get_vacuum_count pg_stat_get_wal pg_stat_get_wal_receiver pg_stat_get_wal_senders \
    pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls \
    pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time \
    pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched \
    pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted \
    pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated pg_stat_have_stats \
    pg_statistics_obj_is_visible pg_table_is_visible pg_table_size pg_tablespace_databases \
    pg_tablespace_location pg_tablespace_size pg_timezone_abbrevs pg_timezone_abbrevs_abbrevs \
    pg_timezone_abbrevs_zone pg_timezone_names pg_total_relation_size pg_trigger_depth \
    pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible \
    pg_ts_template_is_visible pg_type_is_visible pg_typeof pg_visible_in_snapshot \
    pg_wal_lsn_diff pg_walfile_name pg_walfile_name_offset pg_xact_commit_timestamp \
    pg_xact_commit_timestamp_origin pg_xact_status to_regclass to_regcollation to_regnamespace \
    to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype to_regtypemod \
    txid_current_if_assigned txid_current_snapshot txid_snapshot_in txid_snapshot_out \
    txid_snapshot_recv txid_snapshot_send txid_snapshot_xip txid_snapshot_xmax \
    txid_snapshot_xmin txid_status txid_visible_in_snapshot \
    ";

/// Functions without side effects of the extensions in common use.
pub(super) const EXTENSIONS: &str = "\
    akeys armor avals binary_quantize cosine_distance crypt cube cube_dim cube_distance \
    daitch_mokotoff dearmor digest dmetaphone dmetaphone_alt each earth earth_box earth_distance \
    gen_random_bytes gen_salt hmac hstore hstore_to_array hstore_to_json hstore_to_json_loose \
    hstore_to_jsonb hstore_to_jsonb_loose hstore_to_matrix icount inner_product l1_distance \
    l2_distance l2_normalize latitude levenshtein levenshtein_less_equal ll_to_earth longitude \
    metaphone pgp_sym_decrypt pgp_sym_encrypt show_trgm similarity skeys sort_asc sort_desc \
    soundex strict_word_similarity subarray subvector svals unaccent uuid_generate_v1 \
    uuid_generate_v1mc uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 uuid_nil uuid_ns_dns \
    uuid_ns_oid uuid_ns_url uuid_ns_x500 vector_dims vector_norm word_similarity \
    ";
