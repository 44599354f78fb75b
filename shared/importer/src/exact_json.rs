//! JSON without loss: an integer that no number of this program can hold becomes its text.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Parses a JSON text. An integer beyond 64 bits, or a decimal number that would be rounded to a multiple of more than
/// one, becomes the text that stands in the file.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    let value: Value = serde_json::from_str(text)?;
    if !is_rounded(&value) {
        return Ok(value);
    }
    exact(serde_json::from_str(text)?)
}

/// Whether a number of the value is too large for all of its digits to count.
fn is_rounded(value: &Value) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            number.is_f64() && number.as_f64().is_none_or(|number| number.abs() >= EXACT)
        }
        Value::Array(values) => values.iter().any(is_rounded),
        Value::Object(object) => object.values().any(is_rounded),
        _ => false,
    }
}

fn exact(raw: &RawValue) -> Result<Value, serde_json::Error> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let object: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            let pairs = object.into_iter().map(|(key, value)| Ok((key, exact(value)?)));
            pairs.collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        Some(b'[') => {
            let values: Vec<&RawValue> = serde_json::from_str(text)?;
            values.into_iter().map(exact).collect::<Result<_, _>>().map(Value::Array)
        }
        _ => {
            let value: Value = serde_json::from_str(text)?;
            Ok(if is_rounded(&value) { Value::String(text.to_owned()) } else { value })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn large_integers_keep_their_digits() {
        let text = r#"{"user": 92800000000000000001, "n": 7, "x": [1.5, 18446744073709551616], "e": 9.28e19, "t": "9e19"}"#;
        assert_eq!(
            parse(text).unwrap(),
            json!({
                "user": "92800000000000000001", "n": 7, "x": [1.5, "18446744073709551616"], "e": "9.28e19", "t": "9e19"
            })
        );
        assert_eq!(parse("18446744073709551615").unwrap(), json!(u64::MAX));
        assert!(parse("{\"a\": 1").is_err());
    }
}
