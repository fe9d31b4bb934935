//! Types for JSON that was written by others: they take what real servers send and allocate nothing in the usual case.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A string's length in characters; `null` is 0. Anything else is an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextLength(pub u64);

impl<'de> Deserialize<'de> for TextLength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Length;
        impl Visitor<'_> for Length {
            type Value = TextLength;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<TextLength, E> {
                Ok(TextLength(chars(text)))
            }
            fn visit_unit<E>(self) -> Result<TextLength, E> {
                Ok(TextLength(0))
            }
        }
        deserializer.deserialize_any(Length)
    }
}

fn chars(text: &str) -> u64 {
    text.chars().count() as u64
}

/// A count: a whole number, a float without fraction, or either written as a string. Anything else is "not said".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count(pub Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Number::deserialize(deserializer)?.0.filter(|number| *number >= 0.0).map(|number| number as u64)))
    }
}

/// A number, or one written as a string. Anything else, and what is not finite, is "not said".
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Number(pub Option<f64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(Some(number as f64)))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(Some(number as f64)))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number(Some(number).filter(|n| n.is_finite())))
            }
            fn visit_str<E>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.trim().parse().ok().filter(|n: &f64| n.is_finite())))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A word (a model's name, a reason); borrowed where the JSON has no escapes. `null` and the empty string are `None`, and so is
/// anything that is not a string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word<'a>(pub Option<Cow<'a, str>>);

impl Word<'_> {
    /// The word.
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Word<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word")
            }
            fn visit_borrowed_str<E>(self, word: &'de str) -> Result<Word<'de>, E> {
                Ok(Word((!word.is_empty()).then_some(Cow::Borrowed(word))))
            }
            fn visit_str<E>(self, word: &str) -> Result<Word<'de>, E> {
                Ok(Word((!word.is_empty()).then(|| Cow::Owned(word.to_owned()))))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }
            fn visit_unit<E>(self) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Word<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Word(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Word<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Word(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A list whose elements are merged into one value as they come, so that no list is allocated; `null` is the empty list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged<T>(pub T);

/// What a [`Merged`] list does with its elements.
pub trait Merge: Default {
    /// One element of the list.
    type Element<'de>: Deserialize<'de>;

    /// Takes in the next element.
    fn merge(&mut self, element: Self::Element<'_>);
}

impl<'de, T: Merge> Deserialize<'de> for Merged<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(T);
        impl<'de, T: Merge> Visitor<'de> for List<T> {
            type Value = Merged<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Merged<T>, A::Error> {
                while let Some(element) = seq.next_element::<T::Element<'de>>()? {
                    self.0.merge(element);
                }
                Ok(Merged(self.0))
            }
            fn visit_unit<E>(self) -> Result<Merged<T>, E> {
                Ok(Merged(self.0))
            }
        }
        deserializer.deserialize_any(List(T::default()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn counts_are_read_however_they_are_written() {
        for (json, expected) in [
            ("12", Some(12)),
            ("12.0", Some(12)),
            ("\"12\"", Some(12)),
            ("null", None),
            ("-1", None),
            ("\"many\"", None),
            ("true", None),
            ("[1]", None),
            ("{\"a\":1}", None),
        ] {
            assert_eq!(serde_json::from_str::<Count>(json).expect("tolerated").0, expected, "{json}");
        }
    }

    #[test]
    fn words_borrow_and_lengths_count_characters() {
        let word: Word<'_> = serde_json::from_str("\"stop\"").expect("a word");
        assert!(matches!(word.0, Some(Cow::Borrowed("stop"))));
        assert_eq!(serde_json::from_str::<Word<'_>>("\"\"").expect("a word").0, None);
        assert_eq!(serde_json::from_str::<TextLength>("\"é\\n€\"").expect("a text").0, 3);
        assert!(serde_json::from_str::<TextLength>("7").is_err());
    }
}
