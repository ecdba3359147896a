//! Small deserialisers that take what CloudTrail gives and never ask for more.
//!
//! Every one borrows from the text where JSON allows it (`serde`'s own `Option<Cow<str>>` always copies). [`Text`],
//! [`Amount`], [`Flag`] and [`Part`] accept any JSON type and turn what they cannot use into nothing: only the fields
//! that a record must have in order to be a record are strict ([`Strict`]).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string or null; anything else is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Strict<'a>(pub(super) Option<Cow<'a, str>>);

/// A string, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

/// A count of bytes: an integer, a float (logstash) or digits in a string (Athena), or nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount(pub(super) Option<u64>);

/// A boolean, or the word in any case, or nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) Option<bool>);

/// An object read as `T`, or an array of them read item by item where `T` allows it; else `T::default()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Part<T> {
    /// What was read.
    pub(super) value: T,
    /// True if JSON stood there as a string, which has to be unpacked first.
    pub(super) packed: bool,
}

/// True if a string looks like JSON that an export has packed into a string.
pub(super) fn is_packed(s: &str) -> bool {
    matches!(s.trim_start().as_bytes().first(), Some(b'{' | b'['))
}

macro_rules! string_visits {
    ($de:lifetime) => {
        fn visit_borrowed_str<E: Error>(self, s: &$de str) -> Result<Self::Value, E> {
            Ok(self.text(Cow::Borrowed(s)))
        }
        fn visit_str<E: Error>(self, s: &str) -> Result<Self::Value, E> {
            Ok(self.text(Cow::Owned(s.to_owned())))
        }
        fn visit_string<E: Error>(self, s: String) -> Result<Self::Value, E> {
            Ok(self.text(Cow::Owned(s)))
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

macro_rules! ignore {
    (numbers $number:ident) => {
        fn visit_u64<E: Error>(self, n: u64) -> Result<Self::Value, E> {
            Ok(self.$number(n as f64, Some(n)))
        }
        fn visit_i64<E: Error>(self, n: i64) -> Result<Self::Value, E> {
            Ok(self.$number(n as f64, u64::try_from(n).ok()))
        }
        fn visit_f64<E: Error>(self, n: f64) -> Result<Self::Value, E> {
            Ok(self.$number(n, None))
        }
    };
    (bool) => {
        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (map $de:lifetime) => {
        fn visit_map<A: MapAccess<$de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (seq $de:lifetime) => {
        fn visit_seq<A: SeqAccess<$de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

struct StrictVisitor;

impl StrictVisitor {
    fn text(self, s: Cow<'_, str>) -> Strict<'_> {
        Strict(Some(s))
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    string_visits!('de);
}

impl<'de: 'a, 'a> Deserialize<'de> for Strict<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(StrictVisitor)
    }
}

struct TextVisitor;

impl TextVisitor {
    fn text(self, s: Cow<'_, str>) -> Text<'_> {
        Text(Some(s))
    }

    fn number<'a>(self, _: f64, _: Option<u64>) -> Text<'a> {
        Text(None)
    }
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    string_visits!('de);
    ignore!(numbers number);
    ignore!(bool);
    ignore!(map 'de);
    ignore!(seq 'de);
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(TextVisitor)
    }
}

struct AmountVisitor;

impl AmountVisitor {
    fn text(self, s: Cow<'_, str>) -> Amount {
        s.parse::<u64>()
            .map_or_else(|_| s.parse::<f64>().map_or(Amount(None), whole), |n| Amount(Some(n)))
    }

    fn number(self, float: f64, exact: Option<u64>) -> Amount {
        exact.map_or_else(|| whole(float), |n| Amount(Some(n)))
    }
}

/// A float as a count: only if it is one that a count can be.
fn whole(n: f64) -> Amount {
    let fits = n.is_finite() && n >= 0.0 && n < 2f64.powi(63);
    Amount(fits.then_some(n as u64))
}

impl<'de> Visitor<'de> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    string_visits!('de);
    ignore!(numbers number);
    ignore!(bool);
    ignore!(map 'de);
    ignore!(seq 'de);
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(AmountVisitor)
    }
}

struct FlagVisitor;

impl FlagVisitor {
    fn text(self, s: Cow<'_, str>) -> Flag {
        let word = |w: &str| s.eq_ignore_ascii_case(w);
        Flag(if word("true") {
            Some(true)
        } else if word("false") {
            Some(false)
        } else {
            None
        })
    }

    fn number(self, _: f64, _: Option<u64>) -> Flag {
        Flag(None)
    }
}

impl<'de> Visitor<'de> for FlagVisitor {
    type Value = Flag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: Error>(self, b: bool) -> Result<Flag, E> {
        Ok(Flag(Some(b)))
    }

    string_visits!('de);
    ignore!(numbers number);
    ignore!(map 'de);
    ignore!(seq 'de);
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(FlagVisitor)
    }
}

struct PartVisitor<T>(PhantomData<T>);

impl<T: Default> PartVisitor<T> {
    fn text(self, s: Cow<'_, str>) -> Part<T> {
        Part {
            value: T::default(),
            packed: is_packed(&s),
        }
    }

    fn number(self, _: f64, _: Option<u64>) -> Part<T> {
        Part {
            value: T::default(),
            packed: false,
        }
    }
}

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for PartVisitor<T> {
    type Value = Part<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part<T>, A::Error> {
        let value = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Part { value, packed: false })
    }

    string_visits!('de);
    ignore!(numbers number);
    ignore!(bool);
    ignore!(seq 'de);
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(PartVisitor(PhantomData))
    }
}

/// An object read as `T`, or null; anything else is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Object<T>(pub(super) Option<T>);

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<Object<T>, E> {
        Ok(Object(None))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// An array whose items are read as `T`; an item of another type becomes `T::default()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List<T> {
    /// The items.
    pub(super) items: Vec<T>,
    /// True if JSON stood there as a string.
    pub(super) packed: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List {
            items: Vec::new(),
            packed: false,
        }
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<T> ListVisitor<T> {
    fn text(self, s: Cow<'_, str>) -> List<T> {
        List {
            items: Vec::new(),
            packed: is_packed(&s),
        }
    }

    fn number(self, _: f64, _: Option<u64>) -> List<T> {
        List::default()
    }
}

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(part) = seq.next_element::<Part<T>>()? {
            if items.len() < MOST_ITEMS {
                items.push(part.value);
            }
        }
        Ok(List { items, packed: false })
    }

    string_visits!('de);
    ignore!(numbers number);
    ignore!(bool);
    ignore!(map 'de);
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ListVisitor(PhantomData))
    }
}

/// More resources than AWS ever lists for one call are a record gone wild, and are not kept.
pub(super) const MOST_ITEMS: usize = 256;
