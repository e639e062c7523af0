//! Functions that act: write, wait, lock, read files, run programs, open connections, change the
//! session or run a query given as text. Known by name, so that they stay denied where functions
//! of users are allowed.

/// PostgreSQL itself.
pub(super) const POSTGRES: &str = "\
    binary_upgrade_create_empty_extension binary_upgrade_set_missing_value \
    binary_upgrade_set_next_array_pg_type_oid binary_upgrade_set_next_heap_pg_class_oid \
    binary_upgrade_set_next_heap_relfilenode binary_upgrade_set_next_index_pg_class_oid \
    binary_upgrade_set_next_index_relfilenode \
    binary_upgrade_set_next_multirange_array_pg_type_oid \
    binary_upgrade_set_next_multirange_pg_type_oid binary_upgrade_set_next_pg_authid_oid \
    binary_upgrade_set_next_pg_enum_oid binary_upgrade_set_next_pg_tablespace_oid \
    binary_upgrade_set_next_pg_type_oid binary_upgrade_set_next_toast_pg_class_oid \
    binary_upgrade_set_next_toast_relfilenode binary_upgrade_set_record_init_privs \
    brin_desummarize_range brin_summarize_new_values brin_summarize_range brinhandler bthandler \
    currtid2 cursor_to_xml cursor_to_xmlschema database_to_xml database_to_xml_and_xmlschema \
    database_to_xmlschema gin_clean_pending_list ginhandler gisthandler hashhandler \
    heap_tableam_handler lo_close lo_creat lo_create lo_export lo_from_bytea lo_get lo_import \
    lo_lseek lo_lseek64 lo_open lo_put lo_tell lo_tell64 lo_truncate lo_truncate64 lo_unlink \
    loread lowrite nextval pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock \
    pg_advisory_unlock_all pg_advisory_unlock_shared pg_advisory_xact_lock \
    pg_advisory_xact_lock_shared pg_backup_start pg_backup_stop pg_cancel_backend \
    pg_copy_logical_replication_slot pg_copy_physical_replication_slot \
    pg_create_logical_replication_slot pg_create_physical_replication_slot \
    pg_create_restore_point pg_current_logfile pg_current_xact_id pg_drop_replication_slot \
    pg_export_snapshot pg_extension_config_dump pg_hba_file_rules pg_ident_file_mappings \
    pg_import_system_collations pg_log_backend_memory_contexts pg_logical_emit_message \
    pg_logical_slot_get_binary_changes pg_logical_slot_get_changes \
    pg_logical_slot_peek_binary_changes pg_logical_slot_peek_changes pg_ls_archive_statusdir \
    pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir \
    pg_ls_tmpdir pg_ls_waldir pg_nextoid pg_notify pg_promote pg_read_binary_file pg_read_file \
    pg_read_file_old pg_reload_conf pg_replication_origin_advance pg_replication_origin_create \
    pg_replication_origin_drop pg_replication_origin_session_is_setup \
    pg_replication_origin_session_progress pg_replication_origin_session_reset \
    pg_replication_origin_session_setup pg_replication_origin_xact_reset \
    pg_replication_origin_xact_setup pg_replication_slot_advance pg_rotate_logfile \
    pg_rotate_logfile_old pg_show_all_file_settings pg_sleep pg_sleep_for pg_sleep_until \
    pg_stat_clear_snapshot pg_stat_file pg_stat_force_next_flush pg_stat_reset \
    pg_stat_reset_replication_slot pg_stat_reset_shared pg_stat_reset_single_function_counters \
    pg_stat_reset_single_table_counters pg_stat_reset_slru pg_stat_reset_subscription_stats \
    pg_stop_making_pinned_objects pg_switch_wal pg_terminate_backend pg_try_advisory_lock \
    pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared \
    pg_wal_replay_pause pg_wal_replay_resume query_to_xml query_to_xml_and_xmlschema \
    query_to_xmlschema ri_fkey_cascade_del ri_fkey_cascade_upd ri_fkey_check_ins \
    ri_fkey_check_upd ri_fkey_noaction_del ri_fkey_noaction_upd ri_fkey_restrict_del \
    ri_fkey_restrict_upd ri_fkey_setdefault_del ri_fkey_setdefault_upd ri_fkey_setnull_del \
    ri_fkey_setnull_upd schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema set_config \
    setseed setval spghandler suppress_redundant_updates_trigger table_to_xml \
    table_to_xml_and_xmlschema table_to_xmlschema ts_rewrite ts_stat tsvector_update_trigger \
    tsvector_update_trigger_column txid_current unique_key_recheck \
    ";

/// Extensions of PostgreSQL, and other databases.
pub(super) const OTHERS: &str = "\
    add_job add_retention_policy addgeometrycolumn alter_job \
    asynchronous_connection_failover_add_source asynchronous_connection_failover_delete_source \
    autoinc aws_s3 benchmark brin_desummarize_range bt_index_check bt_index_parent_check \
    bt_page_items check_foreign_key check_primary_key connectby create_distributed_table \
    create_hypertable crosstab crosstab2 crosstab3 crosstab4 crosstab_hash crosstabn dblink \
    dblink_connect dblink_exec dbms_lock dbms_output delete_job do_system drop_chunks \
    dropgeometrycolumn dropgeometrytable edit eval exec exec_sql execute_sql fsdir \
    fsm_page_contents fts3_tokenizer fts5 geopoly_debug get_lock get_raw_page \
    group_replication_set_as_primary group_replication_switch_to_multi_primary_mode \
    group_replication_switch_to_single_primary_mode heap_page_items http http_delete http_get \
    http_head http_list_curlopt http_patch http_post http_put http_set_curlopt insert_username \
    invoke keyring_key_fetch keyring_key_generate keyring_key_remove keyring_key_store \
    lib_mysqludf_sys_info lo_manage load_extension load_file lsmode master_gtid_wait \
    master_pos_wait master_run_on_worker moddatetime net_http_get opendatasource openquery \
    openrowset page_header pg_file_write plpgsql_call_handler populate_geometry_columns \
    postgres_fdw_disconnect postgres_fdw_disconnect_all query_export_to_s3 query_to_xml readfile \
    refint release_all_locks release_lock reset_wal rtreecheck run_command_on_shards \
    run_command_on_workers run_job schedule schedule_in_database set_query_log shell sleep \
    source_pos_wait sqlar_compress sqlar_uncompress sqlite_dbdata sqlite_dbpage sqlite_dbptr \
    sqlite_recover swarmvtab sys_eval sys_exec sys_get sys_set table_import_from_s3 timetravel \
    unionvtab unschedule updategeometrysrid utl_file utl_http verify_heapam \
    wait_for_executed_gtid_set wait_until_sql_thread_after_gtids writefile xp_cmdshell \
    xpath_nodeset xpath_table zipfile \
    ";
