//! The types of Parquet columns, and their values as text.

use std::io::Write;

use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::data_type::Int96;
use parquet::schema::types::ColumnDescriptor;

use super::super::cell_text;

/// The digits of the longest decimals that writers have, and the bytes that they fill.
const MAX_DIGITS: usize = 76;
const MAX_DECIMAL_BYTES: usize = 32;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellType {
    Boolean,
    Integer {
        signed: bool,
    },
    Float,
    /// A whole number in units of `10^-scale`.
    Decimal {
        scale: usize,
    },
    /// Days since 1970.
    Date,
    TimeOfDay(Unit),
    /// A time since 1970; `utc` says that it is a point in time, not one of an unknown zone.
    Timestamp {
        unit: Unit,
        utc: bool,
    },
    Text,
    /// Bytes that need not be text: texts of old writers, or ids.
    Bytes,
    Uuid,
}

/// The number of them in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit(i64);

const MILLIS: Unit = Unit(1_000);
const MICROS: Unit = Unit(1_000_000);
const NANOS: Unit = Unit(1_000_000_000);

impl From<TimeUnit> for Unit {
    fn from(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::MILLIS => MILLIS,
            TimeUnit::MICROS => MICROS,
            TimeUnit::NANOS => NANOS,
        }
    }
}

impl Unit {
    /// Whole seconds, and the nanoseconds behind them.
    fn split(self, value: i64) -> (i64, u32) {
        let nanos = value.rem_euclid(self.0) * (NANOS.0 / self.0);
        (value.div_euclid(self.0), u32::try_from(nanos).unwrap_or_default())
    }
}

/// The name of a column's type, for people.
pub(super) fn name(column: &ColumnDescriptor) -> String {
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(logical), _) => {
            let text = format!("{logical:?}").to_lowercase();
            text.split_once('(').map_or(text.as_str(), |(name, _)| name).to_owned()
        }
        (None, ConvertedType::NONE) => column.physical_type().to_string().to_lowercase(),
        (None, converted) => converted.to_string().to_lowercase(),
    }
}

impl CellType {
    /// The type of a column's cells; `None` if they cannot be read as texts, or are lists.
    pub(super) fn of(column: &ColumnDescriptor) -> Option<Self> {
        if column.max_rep_level() > 0 {
            return None;
        }
        let cell_type = match column.logical_type_ref() {
            // A column of nulls.
            Some(LogicalType::Unknown) => Self::of_physical(column.physical_type()),
            Some(logical) => Self::of_logical(logical)?,
            None => match column.converted_type() {
                ConvertedType::NONE => Self::of_physical(column.physical_type()),
                converted => Self::of_converted(converted, column.type_scale())?,
            },
        };
        cell_type.is_stored_as(column.physical_type()).then_some(cell_type)
    }

    fn of_logical(logical: &LogicalType) -> Option<Self> {
        Some(match logical {
            LogicalType::String | LogicalType::Enum | LogicalType::Json => Self::Text,
            LogicalType::Decimal(decimal) => Self::of_scale(decimal.scale)?,
            LogicalType::Date => Self::Date,
            LogicalType::Time(time) => Self::TimeOfDay(time.unit.into()),
            LogicalType::Timestamp(time) => {
                Self::Timestamp { unit: time.unit.into(), utc: time.is_adjusted_to_u_t_c }
            }
            LogicalType::Integer(integer) => Self::Integer { signed: integer.is_signed },
            LogicalType::Uuid => Self::Uuid,
            _ => return None,
        })
    }

    /// Of a file of an old writer.
    fn of_converted(converted: ConvertedType, scale: i32) -> Option<Self> {
        Some(match converted {
            ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Self::Text,
            ConvertedType::DECIMAL => Self::of_scale(scale)?,
            ConvertedType::DATE => Self::Date,
            ConvertedType::TIME_MILLIS => Self::TimeOfDay(MILLIS),
            ConvertedType::TIME_MICROS => Self::TimeOfDay(MICROS),
            // The specification says that these are points in time.
            ConvertedType::TIMESTAMP_MILLIS => Self::Timestamp { unit: MILLIS, utc: true },
            ConvertedType::TIMESTAMP_MICROS => Self::Timestamp { unit: MICROS, utc: true },
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64 => Self::Integer { signed: false },
            ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32 | ConvertedType::INT_64 => {
                Self::Integer { signed: true }
            }
            _ => return None,
        })
    }

    fn of_scale(scale: i32) -> Option<Self> {
        let scale = usize::try_from(scale).ok()?;
        (scale <= MAX_DIGITS).then_some(Self::Decimal { scale })
    }

    fn of_physical(physical: Type) -> Self {
        match physical {
            Type::BOOLEAN => Self::Boolean,
            Type::INT32 | Type::INT64 => Self::Integer { signed: true },
            // Nothing else is stored in this type. Some writers mean points in time, others times of their zone.
            Type::INT96 => Self::Timestamp { unit: NANOS, utc: false },
            Type::FLOAT | Type::DOUBLE => Self::Float,
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => Self::Bytes,
        }
    }

    /// Whether values of this type are stored like that: what a column says about itself may not fit.
    fn is_stored_as(self, physical: Type) -> bool {
        use Type::{BOOLEAN, BYTE_ARRAY, DOUBLE, FIXED_LEN_BYTE_ARRAY, FLOAT, INT32, INT64, INT96};
        match self {
            Self::Boolean => physical == BOOLEAN,
            Self::Integer { .. } | Self::TimeOfDay(_) => matches!(physical, INT32 | INT64),
            Self::Float => matches!(physical, FLOAT | DOUBLE),
            Self::Decimal { .. } => matches!(physical, INT32 | INT64 | BYTE_ARRAY | FIXED_LEN_BYTE_ARRAY),
            Self::Date => physical == INT32,
            Self::Timestamp { .. } => matches!(physical, INT64 | INT96),
            Self::Text => physical == BYTE_ARRAY,
            Self::Bytes | Self::Uuid => matches!(physical, BYTE_ARRAY | FIXED_LEN_BYTE_ARRAY),
        }
    }

    pub(super) fn push_bool(self, value: bool, into: &mut Vec<u8>) {
        into.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(super) fn push_i32(self, value: i32, into: &mut Vec<u8>) {
        match self {
            Self::Integer { signed: false } => push(value.cast_unsigned(), into),
            _ => self.push_i64(value.into(), into),
        }
    }

    pub(super) fn push_i64(self, value: i64, into: &mut Vec<u8>) {
        match self {
            Self::Integer { signed: false } => push(value.cast_unsigned(), into),
            Self::Decimal { scale } => {
                push_decimal(value < 0, &value.unsigned_abs().to_string(), scale, into);
            }
            Self::Date => push_known(date(value), value, into),
            Self::TimeOfDay(unit) => {
                let (seconds, nanos) = unit.split(value);
                let time = u32::try_from(seconds)
                    .ok()
                    .and_then(|seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos));
                push_known(time, value, into);
            }
            Self::Timestamp { unit, utc } => {
                let (seconds, nanos) = unit.split(value);
                push_time(seconds, nanos, utc, value, into);
            }
            _ => push(value, into),
        }
    }

    /// The days since 4714 BC and the nanoseconds of the day.
    pub(super) fn push_i96(self, value: &Int96, into: &mut Vec<u8>) {
        const DAYS_TO_1970: i64 = 2_440_588;
        const SECONDS_OF_DAY: i64 = 86_400;
        let utc = matches!(self, Self::Timestamp { utc: true, .. });
        let (low, high, day) = match value.data() {
            [low, high, day] => (u64::from(*low), u64::from(*high), i64::from(*day)),
            _ => (0, 0, 0),
        };
        let (seconds, nanos) = NANOS.split((low | (high << 32)).cast_signed());
        push_time((day - DAYS_TO_1970) * SECONDS_OF_DAY + seconds, nanos, utc, day, into);
    }

    pub(super) fn push_f32(self, value: f32, into: &mut Vec<u8>) {
        const FIRST_INEXACT: f64 = 16_777_216.0;
        push_float(value.into(), FIRST_INEXACT, &value, into);
    }

    pub(super) fn push_f64(self, value: f64, into: &mut Vec<u8>) {
        const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0;
        push_float(value, FIRST_INEXACT, &value, into);
    }

    pub(super) fn push_bytes(self, value: &[u8], into: &mut Vec<u8>) {
        match self {
            Self::Decimal { .. } if value.len() > MAX_DECIMAL_BYTES => {
                push(format_args!("out of range: {} bytes", value.len()), into);
            }
            Self::Decimal { scale } => {
                let (negative, digits) = digits(value);
                push_decimal(negative, &digits, scale, into);
            }
            Self::Uuid if value.len() == 16 => {
                for (index, byte) in value.iter().enumerate() {
                    if matches!(index, 4 | 6 | 8 | 10) {
                        into.push(b'-');
                    }
                    push(format_args!("{byte:02x}"), into);
                }
            }
            Self::Bytes | Self::Uuid if std::str::from_utf8(value).is_err() => {
                value.iter().for_each(|byte| push(format_args!("{byte:02x}"), into));
            }
            // A line feed would end the line: a row is one line, so that its number is known.
            _ if value.contains(&b'\n') => {
                let line: Vec<u8> =
                    value.iter().map(|byte| if *byte == b'\n' { b'\r' } else { *byte }).collect();
                cell_text::push_text(&line, into);
            }
            // What is no text, though the column says so, makes its row invalid.
            _ => cell_text::push_text(value, into),
        }
    }
}

fn push(value: impl std::fmt::Display, into: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(into, "{value}");
}

/// A value, or a text that is no value if it is beyond what the type can be.
fn push_known(value: Option<impl std::fmt::Display>, raw: i64, into: &mut Vec<u8>) {
    match value {
        Some(value) => push(value, into),
        None => push(format_args!("out of range: {raw}"), into),
    }
}

fn date(days: i64) -> Option<NaiveDate> {
    let epoch = DateTime::UNIX_EPOCH.date_naive();
    let distance = Days::new(days.unsigned_abs());
    if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) }
}

fn push_time(seconds: i64, nanos: u32, utc: bool, raw: i64, into: &mut Vec<u8>) {
    let time = DateTime::from_timestamp(seconds, nanos);
    let zone = if utc { "Z" } else { "" };
    push_known(time.map(|time| format!("{}{zone}", time.naive_utc())), raw, into);
}

/// The shortest decimal that means the number; no number is blank.
fn push_float(number: f64, first_inexact: f64, shortest: &impl std::fmt::Display, into: &mut Vec<u8>) {
    match cell_text::whole_number(number, first_inexact) {
        Some(whole) => push(whole, into),
        None if number.is_nan() => {}
        None => push(shortest, into),
    }
}

/// A number with its point where `scale` says, without zeros at the end of its fraction.
fn push_decimal(negative: bool, digits: &str, scale: usize, into: &mut Vec<u8>) {
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - scale).unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let sign = if negative { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    push(format_args!("{sign}{whole}{point}{fraction}"), into);
}

/// The sign and the digits of a whole number of any length: big endian, in two's complement.
fn digits(bytes: &[u8]) -> (bool, String) {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let mut rest: Vec<u8> = bytes.iter().map(|byte| if negative { !byte } else { *byte }).collect();
    if negative {
        // The two's complement: one more than all bits turned.
        for byte in rest.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while rest.iter().any(|byte| *byte != 0) || digits.is_empty() {
        let mut remainder = 0_u16;
        for byte in &mut rest {
            let number = (remainder << 8) | u16::from(*byte);
            *byte = u8::try_from(number / 10).unwrap_or_default();
            remainder = number % 10;
        }
        digits.push(b'0' + u8::try_from(remainder).unwrap_or_default());
    }
    digits.reverse();
    (negative, String::from_utf8(digits).unwrap_or_default())
}
