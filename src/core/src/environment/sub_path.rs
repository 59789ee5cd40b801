//! `subPathExpr`: a path within a volume that refers to a container's variables.

use pinnace_api::expand::{ExpandError, Growth, expand};

/// Why there is no such path (`CreateContainerConfigError`), in the kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubPathError {
    /// A variable that the container has not; unlike elsewhere a reference may not stay.
    #[error("missing value for \"{0}\"")]
    Missing(String),
    /// It became absolute. Like the next it is told as it was written: a variable may be of a Secret.
    #[error("error SubPath `{0}` must not be an absolute path")]
    Absolute(String),
    /// It climbs out.
    #[error("unable to provision SubPath `{0}`: must not contain '..'")]
    Climbs(String),
    /// It grew past its bound.
    #[error("subPathExpr")]
    TooLong(#[source] ExpandError),
}

/// The path that an expression stands for, with a container's variables.
pub fn sub_path(expression: &str, env: &[(String, String)]) -> Result<String, SubPathError> {
    let missing = std::cell::RefCell::new(None);
    let value_of = |name: &str| {
        let found = env.iter().find(|(known, _)| known == name);
        if found.is_none() {
            missing.borrow_mut().get_or_insert_with(|| name.to_owned());
        }
        found.map(|(_, value)| value.as_str())
    };
    let path = expand(expression, value_of, &mut Growth::default()).map_err(SubPathError::TooLong)?;
    if let Some(name) = missing.into_inner() {
        return Err(SubPathError::Missing(name));
    }
    if path.starts_with('/') {
        return Err(SubPathError::Absolute(expression.to_owned()));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(SubPathError::Climbs(expression.to_owned()));
    }
    Ok(path)
}
