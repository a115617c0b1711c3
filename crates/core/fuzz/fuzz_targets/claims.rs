//! A token's payload, as if its signature had been good.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    workos_auth_core_fuzz::properties::claims(input);
});
