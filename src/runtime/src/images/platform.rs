//! Which image of a list runs here.

use super::spec::{Descriptor, Platform};

/// How well an image fits this machine; greater is better, `None` not at all.
pub(super) fn rank(platform: &Platform) -> Option<u32> {
    if platform.os != "linux" {
        return None;
    }
    let variant = platform.variant.as_deref().unwrap_or("");
    rank_for(
        std::env::consts::ARCH,
        machine_level(),
        &platform.architecture,
        variant,
    )
}

/// The name of this machine's platform, as images state it.
pub(super) fn here() -> String {
    format!("linux/{}", go_name(std::env::consts::ARCH))
}

/// The best manifest of a list. One that states no platform counts as a last resort, since old tools left it
/// out.
pub(super) fn choose(manifests: &[Descriptor]) -> Option<&Descriptor> {
    let rank_of = |descriptor: &Descriptor| match &descriptor.platform {
        None => Some(0),
        Some(platform) => rank(platform),
    };
    let usable = |descriptor: &&Descriptor| !descriptor.is_attestation();
    let mut best: Option<(u32, &Descriptor)> = None;
    for descriptor in manifests.iter().filter(usable) {
        if let Some(rank) = rank_of(descriptor)
            && best.is_none_or(|(highest, _)| rank > highest)
        {
            best = Some((rank, descriptor));
        }
    }
    best.map(|(_, descriptor)| descriptor)
}

fn go_name(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// The level of x86-64 that this processor has (1 to 4), which images state as `v1` to `v4`.
#[cfg(target_arch = "x86_64")]
fn machine_level() -> u32 {
    use std::is_x86_feature_detected as has;
    let v2 = has!("ssse3") && has!("sse4.1") && has!("sse4.2") && has!("popcnt") && has!("cmpxchg16b");
    let v3 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("f16c") && has!("fma") && has!("lzcnt");
    let v4 = has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
    match (v2, v3, v4) {
        (true, true, true) => 4,
        (true, true, false) => 3,
        (true, false, _) => 2,
        (false, ..) => 1,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn machine_level() -> u32 {
    8
}

fn rank_for(arch: &str, level: u32, image_arch: &str, variant: &str) -> Option<u32> {
    let number = match variant {
        "" => None,
        variant => Some(variant.strip_prefix('v')?.parse::<u32>().ok()?),
    };
    match (go_name(arch), image_arch) {
        ("amd64", "amd64") => number
            .unwrap_or(1)
            .le(&level)
            .then_some(100 + number.unwrap_or(1)),
        ("amd64", "386") => Some(1),
        // 64-bit ARM processors run the older generations' programs, the newest best.
        ("arm64", "arm64") => number
            .unwrap_or(8)
            .le(&level)
            .then_some(100 + number.unwrap_or(8)),
        ("arm64", "arm") => Some(number.unwrap_or(7).min(50)),
        (here, there) => (here == there).then_some(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_best_variant_that_the_processor_runs() {
        assert_eq!(rank_for("x86_64", 3, "amd64", "v4"), None);
        assert!(rank_for("x86_64", 3, "amd64", "v3") > rank_for("x86_64", 3, "amd64", "v2"));
        assert!(rank_for("x86_64", 3, "amd64", "v2") > rank_for("x86_64", 3, "amd64", ""));
        assert!(rank_for("x86_64", 3, "amd64", "") > rank_for("x86_64", 3, "386", ""));
        assert_eq!(rank_for("x86_64", 3, "arm64", "v8"), None);
        assert!(rank_for("aarch64", 8, "arm64", "") > rank_for("aarch64", 8, "arm", "v7"));
    }

    #[test]
    fn attestations_and_other_systems_are_no_choice() {
        let descriptor = |os: &str, architecture: &str| Descriptor {
            digest: format!("{os}-{architecture}"),
            platform: Some(Platform {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                ..Platform::default()
            }),
            ..Descriptor::default()
        };
        let here = go_name(std::env::consts::ARCH);
        let list = [
            descriptor("windows", here),
            descriptor("unknown", "unknown"),
            descriptor("linux", "sparc"),
            descriptor("linux", here),
        ];
        assert_eq!(
            choose(&list).map(|found| found.digest.clone()),
            Some(format!("linux-{here}"))
        );
        assert_eq!(choose(&list[..3]), None);
    }
}
