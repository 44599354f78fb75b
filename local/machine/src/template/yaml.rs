//! YAML text to JSON values, with the short forms of intrinsic functions (`!Ref`) made long (`{"Ref": …}`).

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

use super::TemplateError;

/// The template as one JSON object.
pub(crate) fn document(text: &str) -> Result<Map<String, Value>, TemplateError> {
    let mut documents = Yaml::load_from_str(text).map_err(|e| TemplateError::Yaml(e.to_string()))?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => match value(document)? {
            Value::Object(map) => Ok(map),
            _ => Err(TemplateError::Yaml("the document is not a mapping".to_owned())),
        },
        _ => Err(TemplateError::Yaml("exactly one document is expected".to_owned())),
    }
}

fn value(node: Yaml<'_>) -> Result<Value, TemplateError> {
    Ok(match node {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(b) => Value::Bool(b),
            Scalar::Integer(i) => Value::from(i),
            Scalar::FloatingPoint(f) => Value::from(f.into_inner()),
            Scalar::String(s) => Value::String(s.into_owned()),
        },
        Yaml::Sequence(entries) => Value::Array(entries.into_iter().map(value).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, entry) in entries {
                let key = value(key)?;
                let key = super::scalar_text(&key)
                    .ok_or_else(|| TemplateError::Yaml(format!("a key must be a scalar, not {key}")))?;
                map.insert(key, value(entry)?);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tag, inner) => intrinsic(&tag.suffix, value(*inner)?),
        Yaml::Representation(text, ..) => {
            return Err(TemplateError::Yaml(format!("a scalar was left unread: {text}")));
        }
        Yaml::Alias(_) | Yaml::BadValue => {
            return Err(TemplateError::Yaml("a node could not be read".to_owned()));
        }
    })
}

fn intrinsic(name: &str, argument: Value) -> Value {
    let (key, argument) = match (name, argument) {
        ("Ref" | "Condition", argument) => (name.to_owned(), argument),
        // `!GetAtt A.B` is short for a list; attribute names may hold further dots.
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) = path.split_once('.').unwrap_or((&path, ""));
            ("Fn::GetAtt".to_owned(), Value::from(vec![resource, attribute]))
        }
        (name, argument) => (format!("Fn::{name}"), argument),
    };
    Value::Object(Map::from_iter([(key, argument)]))
}
