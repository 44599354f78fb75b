//! Into how many segments a table is cut.

use nextbasket_job_engine::{Assign, BatchPlan, StagePlan};
use nextbasket_tables::segment::{Segment, TableSize};
use serde_json::{Value, json};

use crate::run_settings::RunSettings;

/// The table bytes per segment.
const SEGMENT_BYTES: u64 = 64 << 20;
/// The minimum, so that several workers have something to do.
const FEWEST: u32 = 8;
const MOST: u32 = 1_000;

/// As many segments as were asked for, or one for 64 MB of the table: 8 to 1,000.
pub(crate) fn segments(asked: Option<u32>, size: TableSize) -> u32 {
    let by_size = u32::try_from(size.bytes / SEGMENT_BYTES).unwrap_or(MOST);
    asked.unwrap_or_else(|| by_size.clamp(FEWEST, MOST))
}

/// A stage with a batch for each segment of the table; `input` gives a segment's input.
pub(crate) fn stage(
    name: &str,
    table: &str,
    size: TableSize,
    settings: &RunSettings,
    input: impl Fn(Segment) -> Value,
) -> StagePlan {
    let of = segments(settings.segments, size);
    let batches = BatchPlan::for_parts(of, size.items, size.items, |number| input(Segment { number, of }));
    let split = json!({ "by": "size", "table": table, "segments": of });
    settings.apply(StagePlan { assign: Assign::Random, ..StagePlan::new(name, split, batches) })
}
