//! Writes the Prometheus text format, version 0.0.4.
//!
//! Invariants: the samples of a family stand together under its own HELP and TYPE; a family without samples
//! leaves no trace; what is written depends on the calls alone, so equal input gives equal bytes. Label values
//! are escaped here and nowhere else; names are the callers' constants or pass `name_part`.

use std::borrow::Borrow;
use std::io::Write;

/// `TYPE` of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, or starts anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Whichever the kernel's field is.
    Untyped,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Untyped => "untyped",
        }
    }
}

/// A sample's value; integers are written without passing through a float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// An unsigned integer.
    Unsigned(u64),
    /// A signed integer.
    Signed(i64),
    /// Anything else.
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Unsigned(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Signed(value)
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Unsigned(value.into())
    }
}

/// A set of labels, rendered once and used for many samples.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Labels(Vec<u8>);

impl Labels {
    /// Renders `pairs` in the order given (alphabetical by habit).
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        let mut text = Vec::with_capacity(32 * pairs.len());
        write_labels(&mut text, pairs);
        Self(text)
    }

    /// This set with one more label at its end.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut text = self.0.clone();
        match text.pop() {
            Some(_) => text.push(b','),
            None => text.push(b'{'),
        }
        write_label(&mut text, name, value);
        text.push(b'}');
        Self(text)
    }
}

/// Collects an exposition.
#[derive(Debug, Default)]
pub struct Encoder {
    text: Vec<u8>,
}

impl Encoder {
    /// An empty one with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes),
        }
    }

    /// Begins a family; its header is written with its first sample.
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &'a str) -> Family<'a> {
        Family {
            encoder: self,
            name,
            kind,
            help,
            begun: false,
        }
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Into<Value>) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// A family with a sample for each set of labels that comes with a value.
    pub fn samples<L: Borrow<Labels>, V: Into<Value>>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) {
        let mut family = self.family(name, kind, help);
        for (labels, value) in samples {
            family.labelled(labels.borrow(), value);
        }
    }

    /// How much has been written, for [`Encoder::take_back`].
    pub fn mark(&self) -> usize {
        self.text.len()
    }

    /// Takes back what was written since `mark`: a collector that fails leaves no half of itself.
    pub fn take_back(&mut self, mark: usize) {
        self.text.truncate(mark);
    }

    /// Appends text that another encoder made.
    pub fn append(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// Puts what was written since `late` where `mark` was taken before it.
    pub fn move_to(&mut self, mark: usize, late: usize) {
        if let Some(moved) = self.text.get_mut(mark..) {
            moved.rotate_left(late.saturating_sub(mark).min(moved.len()));
        }
    }

    /// The exposition.
    pub fn finish(self) -> Vec<u8> {
        self.text
    }
}

/// See [`Encoder::family`].
pub struct Family<'a> {
    encoder: &'a mut Encoder,
    name: &'a str,
    kind: Kind,
    help: &'a str,
    begun: bool,
}

impl Family<'_> {
    /// Writes a sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) {
        self.begin();
        write_labels(&mut self.encoder.text, labels);
        self.end(value.into());
    }

    /// Writes a sample with labels rendered before.
    pub fn labelled(&mut self, labels: &Labels, value: impl Into<Value>) {
        self.begin();
        self.encoder.text.extend_from_slice(&labels.0);
        self.end(value.into());
    }

    fn begin(&mut self) {
        let text = &mut self.encoder.text;
        if !self.begun {
            self.begun = true;
            for part in ["# HELP ", self.name, " "] {
                text.extend_from_slice(part.as_bytes());
            }
            escape(text, self.help, false);
            for part in ["\n# TYPE ", self.name, " ", self.kind.word(), "\n"] {
                text.extend_from_slice(part.as_bytes());
            }
        }
        text.extend_from_slice(self.name.as_bytes());
    }

    fn end(&mut self, value: Value) {
        let text = &mut self.encoder.text;
        text.push(b' ');
        write_value(text, value);
        text.push(b'\n');
    }
}

fn write_labels(text: &mut Vec<u8>, pairs: &[(&str, &str)]) {
    let mut before = b'{';
    for (name, value) in pairs {
        text.push(before);
        before = b',';
        write_label(text, name, value);
    }
    if !pairs.is_empty() {
        text.push(b'}');
    }
}

fn write_label(text: &mut Vec<u8>, name: &str, value: &str) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"=\"");
    escape(text, value, true);
    text.push(b'"');
}

fn escape(text: &mut Vec<u8>, value: &str, quotes: bool) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'"');
    if !value.as_bytes().iter().any(special) {
        text.extend_from_slice(value.as_bytes());
        return;
    }
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'"' if quotes => text.extend_from_slice(b"\\\""),
            other => text.push(other),
        }
    }
}

fn write_value(text: &mut Vec<u8>, value: Value) {
    // Writing into a Vec cannot fail.
    let _ = match value {
        Value::Unsigned(number) => {
            write_digits(text, number, 1);
            Ok(())
        }
        Value::Signed(number) => {
            if number < 0 {
                text.push(b'-');
            }
            write_digits(text, number.unsigned_abs(), 1);
            Ok(())
        }
        Value::Float(number) if number.is_nan() => write!(text, "NaN"),
        Value::Float(number) if number.is_infinite() => {
            write!(text, "{}", if number > 0.0 { "+Inf" } else { "-Inf" })
        }
        Value::Float(number) if write_short(text, number) => Ok(()),
        // Plain digits up to a size at which they would become a long tail of zeros.
        Value::Float(number) if number == 0.0 || (1e-6..1e21).contains(&number.abs()) => {
            write!(text, "{number}")
        }
        Value::Float(number) => write!(text, "{number:e}"),
    };
}

/// Writes a number in decimal, with zeros before it up to `least` digits.
fn write_digits(text: &mut Vec<u8>, mut number: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while number > 0 {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text.extend_from_slice(&digits[first.min(digits.len() - least)..]);
}

/// Writes a number that is not negative and is the nearest one to a decimal of at most 15 digits, nine of them behind
/// the point. No two such decimals have the same nearest number, so the shortest text for it is this decimal. What is
/// counted in ticks or nanoseconds is such a number, and this way takes a small part of the general one's time.
fn write_short(text: &mut Vec<u8>, number: f64) -> bool {
    /// The largest number with so many digits behind the point that has 15 digits in all.
    const PLACES: [(f64, usize, f64); 2] = [(1e6, 9, 1e9), (1e12, 3, 1e3)];
    if !number.is_sign_positive() || (number != 0.0 && number < 1e-6) {
        return false;
    }
    let Some((_, mut places, scale)) = PLACES.into_iter().find(|(below, ..)| number < *below) else {
        return false;
    };
    let scaled = (number * scale).round();
    if scaled / scale != number {
        return false;
    }
    let (whole, mut rest) = (scaled as u64 / scale as u64, scaled as u64 % scale as u64);
    write_digits(text, whole, 1);
    if rest > 0 {
        while rest.is_multiple_of(10) {
            rest /= 10;
            places -= 1;
        }
        text.push(b'.');
        write_digits(text, rest, places);
    }
    true
}

/// Makes a part of a metric's name out of a kernel's field: what a name may not hold becomes `_`.
pub(crate) fn name_part(field: &str) -> String {
    field
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(encoder: Encoder) -> String {
        String::from_utf8(encoder.finish()).unwrap()
    }

    #[test]
    fn family_has_one_header_and_its_samples_in_order() {
        let mut encoder = Encoder::default();
        let mut family = encoder.family("a_total", Kind::Counter, "Things\nwith a \\ and a \".");
        family.sample(&[("b", "1"), ("c", "2")], 3_u64);
        family.sample(&[], 0.5);
        assert_eq!(
            text(encoder),
            "# HELP a_total Things\\nwith a \\\\ and a \".\n# TYPE a_total counter\n\
             a_total{b=\"1\",c=\"2\"} 3\na_total 0.5\n"
        );
    }

    #[test]
    fn family_without_samples_leaves_nothing() {
        let mut encoder = Encoder::default();
        encoder.family("a", Kind::Gauge, "Nothing.");
        assert_eq!(text(encoder), "");
    }

    #[test]
    fn label_values_are_escaped() {
        let labels = Labels::new(&[("path", "C:\\\"x\"\ny")]);
        let mut encoder = Encoder::default();
        encoder
            .family("a", Kind::Gauge, "A.")
            .labelled(&labels.with("b", "é"), 1_u64);
        assert!(text(encoder).ends_with("a{path=\"C:\\\\\\\"x\\\"\\ny\",b=\"é\"} 1\n"));
        assert_eq!(Labels::default().with("a", "b"), Labels::new(&[("a", "b")]));
    }

    #[test]
    fn values_are_exact() {
        let cases: [(Value, &str); 12] = [
            (u64::MAX.into(), "18446744073709551615"),
            ((-125_000_i64).into(), "-125000"),
            (true.into(), "1"),
            (0.0.into(), "0"),
            (1234.56.into(), "1234.56"),
            (1e20.into(), "100000000000000000000"),
            (1e21.into(), "1e21"),
            (2.5e-9.into(), "2.5e-9"),
            (f64::NAN.into(), "NaN"),
            (f64::INFINITY.into(), "+Inf"),
            (f64::NEG_INFINITY.into(), "-Inf"),
            ((-1.5).into(), "-1.5"),
        ];
        for (value, expected) in cases {
            let mut out = Vec::new();
            write_value(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn short_decimals_are_written_as_the_general_way_writes_them() {
        let mut state = 7_u64;
        let mut random = || {
            // Knuth's generator: the same numbers each time.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 11
        };
        let mut short = 0;
        for _ in 0..200_000 {
            let (digits, scale) = (random() % 10_u64.pow((random() % 19) as u32), random() % 11);
            let numbers = [
                digits as f64 / 10_f64.powi(scale as i32),
                f64::from_bits(random() << 11),
                digits as f64,
            ];
            for number in numbers {
                let mut text = Vec::new();
                if write_short(&mut text, number) {
                    short += 1;
                    assert_eq!(String::from_utf8(text).unwrap(), number.to_string());
                } else {
                    assert!(text.is_empty());
                }
            }
        }
        assert!(short > 100_000, "{short}");
        for number in [0, 9, 10, 99, 100, u64::MAX - 1, u64::MAX] {
            let mut text = Vec::new();
            write_digits(&mut text, number, 1);
            assert_eq!(String::from_utf8(text).unwrap(), number.to_string());
        }
    }

    #[test]
    fn what_was_begun_can_be_taken_back() {
        let mut encoder = Encoder::default();
        encoder.single("a", Kind::Gauge, "A.", 1_u64);
        let mark = encoder.mark();
        encoder.single("b", Kind::Gauge, "B.", 1_u64);
        encoder.take_back(mark);
        assert!(!text(encoder).contains('b'));
    }

    #[test]
    fn what_was_written_late_is_put_where_it_belongs() {
        let mut encoder = Encoder::default();
        encoder.append(b"1");
        let mark = encoder.mark();
        encoder.append(b"3456");
        let late = encoder.mark();
        encoder.append(b"2");
        encoder.move_to(mark, late);
        encoder.move_to(encoder.mark(), encoder.mark());
        assert_eq!(text(encoder), "123456");
    }

    #[test]
    fn field_names_become_name_parts() {
        assert_eq!(name_part("Active(file)"), "Active_file_");
        assert_eq!(name_part("ok_1"), "ok_1");
    }
}
