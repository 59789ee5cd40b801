//! The table against Kubernetes' own types.
//!
//! The types are asked for their fields by deserialising them from a tracer, which answers every question
//! with a value of the kind asked for and writes down what was asked.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Pod, PodTemplate, Secret, Service,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::storage::v1::StorageClass;
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::Effect;
use super::table::TYPES;

/// A text that every type which is written as one takes: strings, times, quantities.
const TEXT: &str = "2020-01-01T00:00:00.000000Z";

/// A text that bytes take.
const BASE64: &str = "aaaa";

#[derive(Default)]
struct Trace {
    /// Fields of each type.
    fields: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// The type that a field has, where it is a type with fields.
    types: BTreeMap<(&'static str, &'static str), &'static str>,
}

struct Tracer<'t> {
    trace: &'t mut Trace,
    field: Option<(&'static str, &'static str)>,
}

impl Tracer<'_> {
    fn again(&mut self) -> Tracer<'_> {
        Tracer {
            trace: self.trace,
            field: self.field,
        }
    }
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let is_bytes = matches!(self.field, Some((_, "data" | "binaryData")));
        visitor.visit_str(if is_bytes { BASE64 } else { TEXT })
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i32(1)
    }
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(1)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(One {
            tracer: self,
            given: false,
        })
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(One {
            tracer: self,
            given: false,
        })
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Some(field) = self.field {
            self.trace.types.insert(field, name);
        }
        let is_new = self
            .trace
            .fields
            .insert(name, fields.iter().copied().collect())
            .is_none();
        // What was asked once is not asked again; the kind and version of an object are checked by its type.
        let asked = if is_new { fields } else { &[] };
        let left = asked
            .iter()
            .copied()
            .filter(|field| !matches!(*field, "apiVersion" | "kind"))
            .collect();
        visitor.visit_map(Members {
            trace: self.trace,
            name,
            left,
            current: None,
        })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier ignored_any
    }
}

/// A list or map of one element.
struct One<'t> {
    tracer: Tracer<'t>,
    given: bool,
}

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Error;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if std::mem::replace(&mut self.given, true) {
            return Ok(None);
        }
        seed.deserialize(self.tracer.again()).map(Some)
    }
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if std::mem::replace(&mut self.given, true) {
            return Ok(None);
        }
        let key: StrDeserializer<'_, Error> = "key".into_deserializer();
        seed.deserialize(key).map(Some)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.tracer.again())
    }
}

/// A type's fields, each given once.
struct Members<'t> {
    trace: &'t mut Trace,
    name: &'static str,
    left: Vec<&'static str>,
    current: Option<&'static str>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Error;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.left.pop();
        let Some(field) = self.current else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Error> = field.into_deserializer();
        seed.deserialize(key).map(Some)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let field = self.current.map(|field| (self.name, field));
        seed.deserialize(Tracer {
            trace: self.trace,
            field,
        })
    }
}

fn trace() -> Trace {
    fn into<T: for<'de> Deserialize<'de>>(trace: &mut Trace) {
        let tracer = Tracer { trace, field: None };
        assert!(T::deserialize(tracer).is_ok(), "every field is answered");
    }
    let mut trace = Trace::default();
    into::<Pod>(&mut trace);
    into::<DaemonSet>(&mut trace);
    into::<Service>(&mut trace);
    into::<NetworkPolicy>(&mut trace);
    into::<Namespace>(&mut trace);
    into::<PodTemplate>(&mut trace);
    into::<ConfigMap>(&mut trace);
    into::<Secret>(&mut trace);
    into::<PersistentVolumeClaim>(&mut trace);
    into::<StorageClass>(&mut trace);
    trace
}

/// The table tells a template's metadata from an object's; Kubernetes has one type for both.
fn kubernetes_name(name: &'static str) -> &'static str {
    if name == "TemplateMeta" {
        "ObjectMeta"
    } else {
        name
    }
}

#[test]
fn every_field_of_kubernetes_types_has_its_place_in_the_table() {
    let trace = trace();
    for (name, fields) in TYPES {
        let known = &trace.fields[kubernetes_name(name)];
        let listed: BTreeSet<&str> = fields.iter().map(|(field, _)| *field).collect();
        assert_eq!(&listed, known, "fields of {name}");
        assert_eq!(listed.len(), fields.len(), "no field of {name} is listed twice");
    }
}

#[test]
fn the_table_goes_into_a_type_where_kubernetes_has_that_type_and_holds_no_type_unseen() {
    let trace = trace();
    for (name, fields) in TYPES {
        for (field, effect) in *fields {
            let type_of_field = trace.types.get(&(kubernetes_name(name), *field)).copied();
            match effect {
                Effect::Into(inner) => {
                    assert_eq!(
                        type_of_field,
                        Some(kubernetes_name(inner)),
                        "type of {name}.{field}"
                    );
                    assert!(
                        TYPES.iter().any(|(known, _)| known == inner),
                        "{inner} has its fields listed"
                    );
                }
                Effect::Held => assert_eq!(type_of_field, None, "{name}.{field} has fields of its own"),
                Effect::Inert(..) | Effect::Refused(_) | Effect::Forbidden(_) | Effect::Choice { .. } => {}
            }
        }
    }
}

#[test]
fn silent_values_are_written_as_json_writes_them() {
    for (name, fields) in TYPES {
        for (field, effect) in *fields {
            let (silent, inert): (&[&str], &[&str]) = match effect {
                Effect::Inert(silent, _) | Effect::Refused(silent) => (silent, &[]),
                Effect::Choice { silent, inert, .. } => (silent, inert),
                Effect::Held | Effect::Into(_) | Effect::Forbidden(_) => continue,
            };
            for text in silent.iter().chain(inert) {
                let json: serde_json::Value = serde_json::from_str(text).unwrap();
                assert_eq!(json.to_string(), *text, "of {name}.{field}");
            }
        }
    }
}
