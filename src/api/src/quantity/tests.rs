//! What Kubernetes promises of quantities.

use proptest::prelude::*;

use super::{Bytes, MilliCpu, Quantity, QuantityError};

fn shown(text: &str) -> String {
    text.parse::<Quantity>().unwrap().to_string()
}

#[test]
fn canonical_forms_are_kubernetes_own() {
    let cases = [
        ("0", "0"),
        ("0m", "0"),
        ("-0", "0"),
        ("1.5", "1500m"),
        ("1.5Gi", "1536Mi"),
        ("0.5Mi", "512Ki"),
        ("1000m", "1"),
        ("100000", "100k"),
        ("1000000k", "1G"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1.5e3", "1500"),
        ("12e-3", "12e-3"),
        ("10e3", "10e3"),
        ("100e3", "100e3"),
        ("1024Ki", "1Mi"),
        ("1023", "1023"),
        ("1Ki", "1Ki"),
        ("1025Ki", "1025Ki"),
        ("0.5Ki", "512"),
        ("0.0001Ki", "102400u"),
        ("8Ei", "9223372036854775807"),
        ("16Ei", "9223372036854775807"),
        ("1000E", "1e21"),
        ("+250m", "250m"),
        ("-1.5Gi", "-1536Mi"),
        ("0.1n", "1n"),
        ("1.0000000001", "1000000001n"),
        ("-0.1n", "-1n"),
        (".5", "500m"),
        ("5.", "5"),
        ("m", "0"),
        (".", "0"),
        ("00012", "12"),
        ("1.2345", "1234500u"),
        ("3Mi", "3Mi"),
        ("18446744073709551616", "18446744073709551616"),
        ("0e99", "0"),
    ];
    for (text, canonical) in cases {
        assert_eq!(shown(text), canonical, "of {text}");
    }
}

#[test]
fn bad_text_is_refused_in_kubernetes_words() {
    use QuantityError::{Format, Suffix, TooLarge};
    let cases = [
        ("", Format),
        ("1.2.3", Format),
        ("10 Mi", Format),
        ("1e3x", Format),
        ("abc", Format),
        (" 1", Format),
        ("1Mi ", Format),
        ("1mi", Suffix),
        ("1KI", Format),
        ("1K", Suffix),
        ("1i", Suffix),
        ("1e", Suffix),
        ("1mm", Suffix),
        ("1m5", Suffix),
        ("1e99999999999", Suffix),
        ("1e40", TooLarge),
    ];
    for (text, error) in cases {
        assert_eq!(text.parse::<Quantity>(), Err(error), "of {text:?}");
    }
    assert_eq!(
        QuantityError::Format.to_string(),
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    assert_eq!(
        QuantityError::Suffix.to_string(),
        "unable to parse quantity's suffix"
    );
}

#[test]
fn amounts_are_rounded_up_into_the_kernels_units() {
    assert_eq!("0.1m".parse(), Ok(MilliCpu(1)));
    assert_eq!("100m".parse(), Ok(MilliCpu(100)));
    assert_eq!("1.0001".parse(), Ok(MilliCpu(1001)));
    assert_eq!("0.5".parse(), Ok(Bytes(1)));
    assert_eq!("128974848".parse(), Ok(Bytes(128_974_848)));
    assert_eq!("129M".parse(), Ok(Bytes(129_000_000)));
    assert_eq!("123Mi".parse(), Ok(Bytes(128_974_848)));
    assert_eq!("-1".parse::<Bytes>(), Err(QuantityError::Negative));
    assert_eq!("10E".parse::<Bytes>(), Err(QuantityError::TooLarge));
    assert_eq!("8Ei".parse(), Ok(Bytes(i64::MAX as u64)));
}

#[test]
fn units_show_themselves_canonically() {
    assert_eq!(MilliCpu(250).to_string(), "250m");
    assert_eq!(MilliCpu(4000).to_string(), "4");
    assert_eq!(Bytes(128 << 20).to_string(), "128Mi");
    assert_eq!(Bytes(1000).to_string(), "1k");
    assert_eq!(Bytes(1500).to_string(), "1500");
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC*") {
        let _ = text.parse::<Quantity>();
    }

    #[test]
    fn quantity_like_text_never_panics(text in "[+-]?[0-9.]{0,60}[eEinumkKMGTP]{0,3}[-+]?[0-9]{0,12}") {
        let _ = text.parse::<Quantity>();
    }

    #[test]
    fn the_canonical_form_is_equal_and_stable(
        whole in 0_u64..=u64::MAX / 4,
        fraction in "[0-9]{0,14}",
        suffix in prop::sample::select(vec!["n", "u", "m", "", "k", "M", "G", "Ki", "Mi", "Gi", "Ti", "e3", "e-3"]),
    ) {
        let first: Quantity = format!("{whole}.{fraction}{suffix}").parse().unwrap();
        let text = first.to_string();
        let second: Quantity = text.parse().unwrap();
        prop_assert_eq!(first, second, "{} is {}", first, second);
        prop_assert_eq!(second.to_string(), text);
    }

    #[test]
    fn binary_and_plain_amounts_agree(mebibytes in 0_u64..1 << 40) {
        let bytes: Bytes = format!("{mebibytes}Mi").parse().unwrap();
        prop_assert_eq!(bytes, Bytes(mebibytes << 20));
        prop_assert_eq!(bytes.to_string().parse::<Bytes>(), Ok(bytes));
    }

    #[test]
    fn order_follows_the_amount(a in 0_u32..2_000_000, b in 0_u32..2_000_000) {
        let (left, right): (Quantity, Quantity) = (format!("{a}m").parse().unwrap(), format!("{b}m").parse().unwrap());
        prop_assert_eq!(left.cmp(&right), a.cmp(&b));
    }
}
