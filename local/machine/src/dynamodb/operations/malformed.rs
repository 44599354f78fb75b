//! Requests that are JSON but do not have the operation's shape: rejected with DynamoDB's kinds of error.

use dynoxide::DynoxideError;
use serde_json::Value;

/// Members that are lists.
const LISTS: [&str; 8] = [
    "AttributeDefinitions",
    "GlobalSecondaryIndexUpdates",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "Tags",
    "VectorIndexUpdates",
    "VectorIndexes",
];

/// Members that are maps, and what Java calls their values.
const MAPS: [(&str, &str); 11] = [
    ("AttributeUpdates", "com.amazonaws.dynamodb.v20120810.AttributeValueUpdate"),
    ("ExclusiveStartKey", "com.amazonaws.dynamodb.v20120810.AttributeValue"),
    ("Expected", "com.amazonaws.dynamodb.v20120810.ExpectedAttributeValue"),
    ("ExpressionAttributeNames", "java.lang.String"),
    ("ExpressionAttributeValues", "com.amazonaws.dynamodb.v20120810.AttributeValue"),
    ("Item", "com.amazonaws.dynamodb.v20120810.AttributeValue"),
    ("Key", "com.amazonaws.dynamodb.v20120810.AttributeValue"),
    ("KeyConditions", "com.amazonaws.dynamodb.v20120810.Condition"),
    ("QueryFilter", "com.amazonaws.dynamodb.v20120810.Condition"),
    ("RequestItems", "com.amazonaws.dynamodb.v20120810.KeysAndAttributes"),
    ("ScanFilter", "com.amazonaws.dynamodb.v20120810.Condition"),
];

/// The message for a list that contains something else than structures.
const UNEXPECTED: &str = "Unexpected value type in payload";

/// Rejects members of the wrong JSON type. The database's own types accept any value for some of them.
pub(super) fn check_types(operation: &str, json: &Value) -> Result<(), DynoxideError> {
    let Some(members) = json.as_object().filter(|_| operation != "SearchVectors") else { return Ok(()) };
    let refuse = |message: &str| Err(DynoxideError::SerializationException(message.to_owned()));
    for (name, value) in members {
        if LISTS.contains(&name.as_str()) {
            match value {
                Value::Null => {}
                Value::Array(elements) => {
                    if elements.iter().any(|element| !element.is_object() && !element.is_null()) {
                        return refuse(UNEXPECTED);
                    }
                }
                Value::Object(_) => return refuse("Start of structure or map found where not expected"),
                _ => return refuse("Unexpected field type"),
            }
        }
        let Some((_, class)) = MAPS.iter().find(|(known, _)| known == name) else { continue };
        match value {
            Value::Null => {}
            Value::Object(values) if *class == "java.lang.String" => {
                if values.values().any(|value| value.is_object() || value.is_array()) {
                    return refuse(UNEXPECTED);
                }
            }
            Value::Object(values) => {
                let nested = |value: &Value| value.is_object() || value.is_null();
                let lists = operation == "BatchWriteItem" && name == "RequestItems";
                if values.values().any(|value| !(nested(value) || lists && value.is_array())) {
                    return refuse(UNEXPECTED);
                }
            }
            Value::Array(_) => {
                return refuse(&format!(
                    "Unrecognized collection type java.util.Map<java.lang.String, {class}>"
                ));
            }
            _ => return refuse("Unexpected field type"),
        }
    }
    Ok(())
}

/// Converts the error of the database's own types for an invalid body to DynamoDB's error. Some of those errors have
/// a mark before the message that gives the kind.
pub(super) fn error(error: &serde_json::Error) -> DynoxideError {
    let whole = error.to_string();
    let message = bare(&whole);
    let marked = |mark: &str, text: &str| text.strip_prefix(mark).map(str::to_owned);
    if let Some(message) =
        marked("SERIALIZATION_AS_READ:", &whole).or_else(|| marked("SERIALIZATION:", message))
    {
        return DynoxideError::SerializationException(message);
    }
    if let Some(message) = marked("VALIDATION_REQUEST:", message) {
        return DynoxideError::EnvelopedValidation(message);
    }
    if let Some(message) = marked("VALIDATION_AS_READ:", &whole).or_else(|| marked("VALIDATION:", message)) {
        return DynoxideError::ValidationException(message);
    }
    if ["missing field", "unknown variant", "invalid type: null"].iter().any(|sign| message.contains(sign)) {
        return DynoxideError::ValidationException(whole);
    }
    if message.contains("empty AttributeValue") {
        let empty = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
        return DynoxideError::ValidationException(empty.to_owned());
    }
    if message.contains("Supplied AttributeValue") {
        return DynoxideError::ValidationException(message.to_owned());
    }
    DynoxideError::SerializationException(mismatch(message).unwrap_or_else(|| message.to_owned()))
}

/// The message without the position that serde appends.
fn bare(message: &str) -> &str {
    match message.rfind(" at line ") {
        Some(at) if message.get(at..).is_some_and(|rest| rest.contains("column")) => {
            message.get(..at).unwrap_or(message)
        }
        _ => message,
    }
}

/// Converts `invalid type: integer 23, expected a string` to `NUMBER_VALUE cannot be converted to String`.
fn mismatch(message: &str) -> Option<String> {
    let (found, expected) = message.strip_prefix("invalid type: ")?.split_once(", expected ")?;
    let (wanted, class) = match expected.trim() {
        "a string" => ("String", "java.lang.String"),
        "a boolean" => ("Boolean", "java.lang.Boolean"),
        "i64" | "u64" => ("Long", "java.lang.Long"),
        "i32" => return None,
        "a sequence" if found != "map" => return Some("Unexpected field type".to_owned()),
        _ if found != "map" && found != "sequence" => return Some("Unexpected field type".to_owned()),
        _ => return Some("Start of structure or map found where not expected".to_owned()),
    };
    let token = match found.split(' ').next()? {
        "map" => return Some("Start of structure or map found where not expected".to_owned()),
        "sequence" => return Some(format!("Unrecognized collection type class {class}")),
        "string" if wanted == "Boolean" => return Some("Unexpected token received from parser".to_owned()),
        "string" => "STRING_VALUE",
        "integer" => "NUMBER_VALUE",
        "floating" => "DECIMAL_VALUE",
        "boolean" if found.contains("true") => "TRUE_VALUE",
        "boolean" => "FALSE_VALUE",
        _ => return None,
    };
    Some(format!("{token} cannot be converted to {wanted}"))
}
