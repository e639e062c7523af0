#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| warrantd_fuzz::lines(data));
