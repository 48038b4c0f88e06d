#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vfio_user_conformance_fuzz::case_language(data));
