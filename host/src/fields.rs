//! Takes the fields of a request one by one, so that an error names the field. What is left over is an error too.

use serde_json::{Map, Value};

use crate::error::Failure;

pub struct Fields(Map<String, Value>);

impl Fields {
    /// Errors: `invalid_argument`.
    pub fn parse(payload: &[u8]) -> Result<Fields, Failure> {
        match serde_json::from_slice(payload) {
            Ok(Value::Object(map)) => Ok(Fields(map)),
            Ok(_) | Err(_) => Err(Failure::invalid("The message is not a JSON object.")),
        }
    }

    pub fn string(&mut self, name: &str) -> Result<String, Failure> {
        match self.required(name)? {
            Value::String(text) => Ok(text),
            _ => Err(ill_typed(name, "a string")),
        }
    }

    pub fn opt_string(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.0.contains_key(name) {
            true => self.string(name).map(Some),
            false => Ok(None),
        }
    }

    pub fn opt_bool(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(ill_typed(name, "true or false")),
        }
    }

    /// A whole number from `min` to `max`.
    pub fn number(&mut self, name: &str, min: u64, max: u64) -> Result<u64, Failure> {
        match self.required(name)?.as_u64() {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(ill_typed(name, &format!("a whole number from {} to {}", min, max))),
        }
    }

    pub fn opt_number(&mut self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Failure> {
        match self.0.contains_key(name) {
            true => self.number(name, min, max).map(Some),
            false => Ok(None),
        }
    }

    /// A number above 0, at most `max`.
    pub fn positive(&mut self, name: &str, max: f64) -> Result<f64, Failure> {
        match self.required(name)?.as_f64() {
            Some(number) if number > 0.0 && number <= max => Ok(number),
            _ => Err(ill_typed(name, &format!("a number above 0, at most {}", max))),
        }
    }

    /// At most `max` of them.
    pub fn strings(&mut self, name: &str, max: usize) -> Result<Vec<String>, Failure> {
        let wrong = || ill_typed(name, &format!("an array of at most {} strings", max));
        match self.required(name)? {
            Value::Array(items) if items.len() <= max => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(wrong()),
                })
                .collect(),
            _ => Err(wrong()),
        }
    }

    pub fn value(&mut self, name: &str) -> Result<Value, Failure> {
        self.required(name)
    }

    /// Errors: `invalid_argument`, where a field is left that nobody took.
    pub fn end(self) -> Result<(), Failure> {
        match self.0.keys().next() {
            Some(name) => Err(Failure::invalid(format!("The field '{}' is not known here.", name))),
            None => Ok(()),
        }
    }

    fn required(&mut self, name: &str) -> Result<Value, Failure> {
        self.0.remove(name).ok_or_else(|| Failure::invalid(format!("The field '{}' is missing.", name)))
    }
}

fn ill_typed(name: &str, expected: &str) -> Failure {
    Failure::invalid(format!("The field '{}' must be {}.", name, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_field_that_is_wrong() {
        let mut fields = Fields::parse(br#"{"a": 1, "b": ["x", 2], "c": -1, "d": 0, "f": null}"#).unwrap();
        assert_eq!(fields.string("a").unwrap_err().message, "The field 'a' must be a string.");
        assert_eq!(fields.string("z").unwrap_err().message, "The field 'z' is missing.");
        let strings = "The field 'b' must be an array of at most 2 strings.";
        assert_eq!(fields.strings("b", 2).unwrap_err().message, strings);
        assert_eq!(fields.number("c", 1, 9).unwrap_err().message, "The field 'c' must be a whole number from 1 to 9.");
        assert_eq!(
            fields.positive("d", 2.0).unwrap_err().message,
            "The field 'd' must be a number above 0, at most 2."
        );
        assert_eq!(fields.end().unwrap_err().message, "The field 'f' is not known here.");
    }

    #[test]
    fn refuses_what_is_no_object_and_what_nests_too_deep() {
        assert!(Fields::parse(b"[]").is_err());
        assert!(Fields::parse(b"{").is_err());
        assert!(Fields::parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
