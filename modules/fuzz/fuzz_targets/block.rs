#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    plasma_modules_fuzz::block(data);
});
