#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextbasket_fuzzing::exports::check(data));
