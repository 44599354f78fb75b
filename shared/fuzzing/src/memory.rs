//! The memory that a call allocates, compared with a limit.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs `call`; returns its result and the most bytes that were allocated at any time.
///
/// Allocations of other threads count as well: nothing else may run meanwhile.
pub(crate) fn measured<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = call();
    (result, ALLOCATOR.peak_usage().saturating_sub(before))
}

/// Runs `call`, which must never hold more than `limit` bytes.
pub(crate) fn within<T>(limit: usize, call: impl FnOnce() -> T) -> T {
    let (result, held) = measured(call);
    assert!(held <= limit, "{held} bytes are held at a time, of {limit} that are allowed");
    result
}
