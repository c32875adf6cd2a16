//! What has changed in something since it was told, found while it is serialized: what stays as it
//! was costs no memory. Hundreds of printers change each second, in a number or two each.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::value::Serializer as Json;
use serde_json::{Error, Map, Value, to_value};
use std::borrow::Cow;

/// Makes `now` of what was told; gives what makes the new of the old, as a merge patch (RFC 7386),
/// or `None` when nothing does.
///
/// # Errors
/// For what is no JSON: keys that are no text, numbers of 128 bits.
pub(super) fn update<T: Serialize + ?Sized>(
    told: &mut Value,
    now: &T,
) -> Result<Option<Value>, Error> {
    now.serialize(Update(told))
}

/// Serializes onto what was told.
struct Update<'a>(&'a mut Value);

impl<'a> Update<'a> {
    fn set(self, now: Value) -> Result<Option<Value>, Error> {
        if *self.0 == now {
            return Ok(None);
        }
        *self.0 = now.clone();
        Ok(Some(now))
    }

    fn object(self, len: usize) -> Object<'a> {
        let is_new = !self.0.is_object();
        if is_new {
            *self.0 = Value::Object(Map::new());
        }
        let Value::Object(told) = self.0 else { unreachable!("it was made one") };
        Object { told, is_new, patch: Map::new(), keys: Vec::with_capacity(len), key: None }
    }

    fn array(self) -> Array<'a> {
        let has_changed = !self.0.is_array();
        if has_changed {
            *self.0 = Value::Array(Vec::new());
        }
        let Value::Array(told) = self.0 else { unreachable!("it was made one") };
        Array { told, len: 0, has_changed }
    }
}

macro_rules! plain {
    ($($method:ident($kind:ty))*) => {
        $(fn $method(self, now: $kind) -> Result<Option<Value>, Error> {
            self.set(Value::from(now))
        })*
    };
}

impl<'a> Serializer for Update<'a> {
    type Ok = Option<Value>;
    type Error = Error;
    type SerializeSeq = Array<'a>;
    type SerializeTuple = Array<'a>;
    type SerializeTupleStruct = Array<'a>;
    type SerializeTupleVariant = Variant<'a, <Json as Serializer>::SerializeTupleVariant>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Object<'a>;
    type SerializeStructVariant = Variant<'a, <Json as Serializer>::SerializeStructVariant>;

    plain! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_f32(f32) serialize_f64(f64)
    }

    fn serialize_char(self, now: char) -> Result<Option<Value>, Error> {
        self.serialize_str(now.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, now: &str) -> Result<Option<Value>, Error> {
        if self.0.as_str() == Some(now) { Ok(None) } else { self.set(Value::from(now)) }
    }

    fn serialize_bytes(self, now: &[u8]) -> Result<Option<Value>, Error> {
        self.set(Value::from(now))
    }

    fn serialize_none(self) -> Result<Option<Value>, Error> {
        self.set(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, now: &T) -> Result<Option<Value>, Error> {
        now.serialize(self)
    }

    fn serialize_unit(self) -> Result<Option<Value>, Error> {
        self.set(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Option<Value>, Error> {
        self.set(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Option<Value>, Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        now: &T,
    ) -> Result<Option<Value>, Error> {
        now.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        now: &T,
    ) -> Result<Option<Value>, Error> {
        let mut object = self.serialize_struct(name, 1)?;
        object.serialize_field(variant, now)?;
        SerializeStruct::end(object)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Array<'a>, Error> {
        Ok(self.array())
    }

    fn serialize_tuple(self, _: usize) -> Result<Array<'a>, Error> {
        Ok(self.array())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Array<'a>, Error> {
        Ok(self.array())
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        let now = Json.serialize_tuple_variant(name, index, variant, len)?;
        Ok(Variant { told: self, now })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Object<'a>, Error> {
        Ok(self.object(len.unwrap_or(0)))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Object<'a>, Error> {
        Ok(self.object(len))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        let now = Json.serialize_struct_variant(name, index, variant, len)?;
        Ok(Variant { told: self, now })
    }
}

/// Is told whole, as a merge patch has no word for a part of it.
struct Array<'a> {
    told: &'a mut Vec<Value>,
    len: usize,
    has_changed: bool,
}

impl Array<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, now: &T) -> Result<(), Error> {
        match self.told.get_mut(self.len) {
            Some(told) => self.has_changed |= update(told, now)?.is_some(),
            None => {
                self.told.push(to_value(now)?);
                self.has_changed = true;
            }
        }
        self.len += 1;
        Ok(())
    }

    fn done(self) -> Option<Value> {
        let has_changed = self.has_changed || self.len < self.told.len();
        self.told.truncate(self.len);
        has_changed.then(|| Value::Array(self.told.clone()))
    }
}

macro_rules! array {
    ($($kind:ident $method:ident)*) => {
        $(impl $kind for Array<'_> {
            type Ok = Option<Value>;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, now: &T) -> Result<(), Error> {
                self.item(now)
            }

            fn end(self) -> Result<Option<Value>, Error> {
                Ok(self.done())
            }
        })*
    };
}

array! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
}

struct Object<'a> {
    told: &'a mut Map<String, Value>,
    is_new: bool,
    patch: Map<String, Value>,
    keys: Vec<Cow<'static, str>>,
    /// Whose value comes next.
    key: Option<String>,
}

impl Object<'_> {
    fn field<T: Serialize + ?Sized>(
        &mut self,
        key: Cow<'static, str>,
        now: &T,
    ) -> Result<(), Error> {
        let change = match self.told.get_mut(&*key) {
            Some(told) => update(told, now)?,
            None => {
                let now = to_value(now)?;
                self.told.insert(key.clone().into_owned(), now.clone());
                Some(now)
            }
        };
        if let Some(change) = change {
            self.patch.insert(key.clone().into_owned(), change);
        }
        self.keys.push(key);
        Ok(())
    }

    fn done(mut self) -> Option<Value> {
        if self.keys.len() < self.told.len() {
            let (keys, patch) = (&self.keys, &mut self.patch);
            self.told.retain(|key, _| {
                let stays = keys.iter().any(|other| other == key);
                if !stays {
                    patch.insert(key.clone(), Value::Null);
                }
                stays
            });
        }
        (self.is_new || !self.patch.is_empty()).then_some(Value::Object(self.patch))
    }
}

impl SerializeStruct for Object<'_> {
    type Ok = Option<Value>;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        now: &T,
    ) -> Result<(), Error> {
        self.field(Cow::Borrowed(key), now)
    }

    fn end(self) -> Result<Option<Value>, Error> {
        Ok(self.done())
    }
}

impl SerializeMap for Object<'_> {
    type Ok = Option<Value>;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(match to_value(key)? {
            Value::String(key) => key,
            Value::Number(key) => key.to_string(),
            _ => return Err(serde::ser::Error::custom("a key is a text")),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, now: &T) -> Result<(), Error> {
        let key = self.key.take();
        let key = key.ok_or_else(|| serde::ser::Error::custom("a value without a key"))?;
        self.field(Cow::Owned(key), now)
    }

    fn end(self) -> Result<Option<Value>, Error> {
        Ok(self.done())
    }
}

/// A variant with fields is made whole, and compared then.
struct Variant<'a, Now> {
    told: Update<'a>,
    now: Now,
}

impl SerializeTupleVariant for Variant<'_, <Json as Serializer>::SerializeTupleVariant> {
    type Ok = Option<Value>;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, now: &T) -> Result<(), Error> {
        self.now.serialize_field(now)
    }

    fn end(self) -> Result<Option<Value>, Error> {
        self.told.set(self.now.end()?)
    }
}

impl SerializeStructVariant for Variant<'_, <Json as Serializer>::SerializeStructVariant> {
    type Ok = Option<Value>;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        now: &T,
    ) -> Result<(), Error> {
        self.now.serialize_field(key, now)
    }

    fn end(self) -> Result<Option<Value>, Error> {
        self.told.set(self.now.end()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// RFC 7386 §2
    fn apply(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = Value::Object(Map::new());
        }
        let Value::Object(target) = target else { unreachable!("it was made one") };
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                apply(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn what_stays_is_not_told() {
        let mut told = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        let now = json!({"a": 1, "b": {"c": 4}, "e": [1, 2]});
        let patch = json!({"b": {"c": 4, "d": null}, "e": [1, 2]});
        assert_eq!(update(&mut told, &now).unwrap(), Some(patch));
        assert_eq!(told, now);
        assert_eq!(update(&mut told, &now).unwrap(), None);
    }

    #[derive(serde::Serialize)]
    enum Kind {
        Plain,
        One(u8),
        Two(u8, char),
        Named { a: Option<f32>, b: (), c: (i8, [u8; 2]) },
    }

    #[test]
    fn every_kind_is_told_as_json_tells_it() {
        let mut told = json!({});
        for kind in [
            Kind::Plain,
            Kind::One(1),
            Kind::One(2),
            Kind::Two(3, 'ü'),
            Kind::Named { a: Some(0.1), b: (), c: (-1, [1, 2]) },
            Kind::Named { a: None, b: (), c: (-1, [1, 2]) },
        ] {
            let now = to_value(&kind).unwrap();
            let numbered = [(1, kind)].into_iter().collect::<std::collections::BTreeMap<_, _>>();
            assert!(update(&mut told, &numbered).unwrap().is_some());
            assert_eq!(told, json!({ "1": now }));
            assert_eq!(update(&mut told, &numbered).unwrap(), None);
        }
    }

    proptest! {
        /// Of what has no null: in a merge patch that takes a thing away.
        #[test]
        fn a_patch_makes_the_new_of_the_old(a in any_value(), b in any_value()) {
            let (a, b) = (json!({"v": a}), json!({"v": b}));
            let (mut told, mut seen) = (a.clone(), a.clone());
            match update(&mut told, &b).unwrap() {
                Some(patch) => apply(&mut seen, &patch),
                None => prop_assert_eq!(&a, &b),
            }
            prop_assert_eq!(&told, &b);
            prop_assert_eq!(&seen, &b);
        }
    }
}
