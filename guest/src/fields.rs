//! Reads the fields of a request one by one, so that an error names the field. Unknown ones are ignored; `null` is
//! the same as absent.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::Failure;

/// String to string, in a stable order.
pub type StringMap = BTreeMap<String, String>;

pub struct Fields(Map<String, Value>);

impl Fields {
    /// Parses a request's payload. Errors: `invalid_argument`.
    pub fn parse(payload: &[u8]) -> Result<Fields, Failure> {
        match serde_json::from_slice(payload) {
            Ok(Value::Object(map)) => Ok(Fields(map)),
            Ok(_) | Err(_) => Err(Failure::invalid("The request is not a JSON object.")),
        }
    }

    pub fn string(&self, name: &str) -> Result<&str, Failure> {
        required(name, self.opt_string(name)?)
    }

    pub fn opt_string(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ill_typed(name, "a string")),
        }
    }

    pub fn boolean(&self, name: &str) -> Result<bool, Failure> {
        required(name, self.opt_boolean(name)?)
    }

    pub fn opt_boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(ill_typed(name, "true or false")),
        }
    }

    /// A whole number from `min` to `max`.
    pub fn number(&self, name: &str, min: u64, max: u64) -> Result<u64, Failure> {
        required(name, self.opt_number(name, min, max)?)
    }

    pub fn opt_number(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Failure> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(value) => value.as_u64(),
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(ill_typed(name, &format!("a whole number from {} to {}", min, max))),
        }
    }

    pub fn opt_object(&self, name: &str) -> Result<Option<Fields>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields(map.clone()))),
            Some(_) => Err(ill_typed(name, "an object")),
        }
    }

    /// Absent: empty.
    pub fn strings(&self, name: &str) -> Result<Vec<String>, Failure> {
        let wrong = || ill_typed(name, "an array of strings");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    pub fn opt_string_map(&self, name: &str) -> Result<Option<StringMap>, Failure> {
        let wrong = || ill_typed(name, "an object of strings");
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => map
                .iter()
                .map(|(key, value)| Ok((key.clone(), value.as_str().ok_or_else(wrong)?.to_owned())))
                .collect::<Result<StringMap, Failure>>()
                .map(Some),
            Some(_) => Err(wrong()),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

fn required<T>(name: &str, value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::invalid(format!("The field '{}' is missing.", name)))
}

fn ill_typed(name: &str, expected: &str) -> Failure {
    Failure::invalid(format!("The field '{}' must be {}.", name, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        let fields = fields(r#"{"a": 1, "b": ["x", 2], "c": {"k": null}, "d": -1}"#);
        assert_eq!(fields.string("a").unwrap_err().message, "The field 'a' must be a string.");
        assert_eq!(fields.string("z").unwrap_err().message, "The field 'z' is missing.");
        assert_eq!(fields.strings("b").unwrap_err().message, "The field 'b' must be an array of strings.");
        assert_eq!(fields.opt_string_map("c").unwrap_err().message, "The field 'c' must be an object of strings.");
        assert_eq!(fields.number("d", 1, 9).unwrap_err().message, "The field 'd' must be a whole number from 1 to 9.");
    }

    #[test]
    fn null_is_absent() {
        assert_eq!(fields(r#"{"a": null}"#).opt_string("a"), Ok(None));
    }

    #[test]
    fn refuses_what_is_no_object_and_what_nests_too_deep() {
        assert!(Fields::parse(b"[]").is_err());
        assert!(Fields::parse(b"{").is_err());
        assert!(Fields::parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
