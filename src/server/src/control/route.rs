//! From a request's method, path and query to what it asks for; pure.

use hyper::Method;
use pinnace_api::{Namespace, ObjectName};

use super::status::FaceError;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Pods(Option<Namespace>),
    Pod(Namespace, ObjectName),
    DaemonSets(Option<Namespace>),
    Services(Option<Namespace>),
    Endpoints(Option<Namespace>),
    EndpointSlices(Option<Namespace>),
    ConfigMaps(Option<Namespace>),
    Secrets(Option<Namespace>),
    Node,
    Events(Option<Namespace>),
    Problems,
    Ready,
    Drain,
    Exec,
    ReloadImages,
    Reload,
}

impl Route {
    fn method(&self) -> Method {
        match self {
            Route::Drain | Route::Exec | Route::ReloadImages | Route::Reload => Method::POST,
            _ => Method::GET,
        }
    }
}

/// Reads the request's line; values out of the path and the query are checked as names.
pub(super) fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Route, FaceError> {
    let parts: Vec<&str> = path.trim_start_matches('/').splitn(6, '/').collect();
    let found = match parts.as_slice() {
        ["v1", "pods"] => Route::Pods(namespace(query)?),
        ["v1", "pods", namespace, name] => {
            Route::Pod(parse(Namespace::new(*namespace))?, parse(ObjectName::new(*name))?)
        }
        ["v1", "daemonsets"] => Route::DaemonSets(namespace(query)?),
        ["v1", "services"] => Route::Services(namespace(query)?),
        ["v1", "endpoints"] => Route::Endpoints(namespace(query)?),
        ["v1", "endpointslices"] => Route::EndpointSlices(namespace(query)?),
        ["v1", "configmaps"] => Route::ConfigMaps(namespace(query)?),
        ["v1", "secrets"] => Route::Secrets(namespace(query)?),
        ["v1", "node"] => Route::Node,
        ["v1", "events"] => Route::Events(namespace(query)?),
        ["v1", "problems"] => Route::Problems,
        ["v1", "readyz"] => Route::Ready,
        ["v1", "drain"] => Route::Drain,
        ["v1", "exec"] => Route::Exec,
        ["v1", "images", "reload"] => Route::ReloadImages,
        ["v1", "reload"] => Route::Reload,
        _ => {
            return Err(FaceError::NotFound {
                kind: "paths",
                name: path.chars().take(200).collect(),
            });
        }
    };
    if found.method() != *method {
        let allowed = if found.method() == Method::POST {
            "POST"
        } else {
            "GET"
        };
        return Err(FaceError::MethodNotAllowed {
            path: path.to_owned(),
            allowed,
        });
    }
    Ok(found)
}

fn namespace(query: Option<&str>) -> Result<Option<Namespace>, FaceError> {
    let mut found = None;
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        match pair.split_once('=') {
            Some(("namespace", "")) => {}
            Some(("namespace", value)) => found = Some(parse(Namespace::new(value))?),
            _ => {
                let why = format!(
                    "the query has no parameter {:?}",
                    pair.chars().take(80).collect::<String>()
                );
                return Err(FaceError::BadRequest { why });
            }
        }
    }
    Ok(found)
}

fn parse<T>(checked: Result<T, pinnace_api::ident::IdentError>) -> Result<T, FaceError> {
    checked.map_err(|error| FaceError::BadRequest {
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, query: Option<&str>) -> Result<Route, FaceError> {
        route(&Method::GET, path, query)
    }

    #[test]
    fn paths_and_queries_are_read() {
        let kube = Namespace::new("kube-system").unwrap();
        assert_eq!(get("/v1/pods", None).unwrap(), Route::Pods(None));
        assert_eq!(get("/v1/pods", Some("namespace=")).unwrap(), Route::Pods(None));
        assert_eq!(
            get("/v1/events", Some("namespace=kube-system")).unwrap(),
            Route::Events(Some(kube.clone()))
        );
        let name = ObjectName::new("a.b").unwrap();
        assert_eq!(
            get("/v1/pods/kube-system/a.b", None).unwrap(),
            Route::Pod(kube, name)
        );
        assert_eq!(
            route(&Method::POST, "/v1/images/reload", None).unwrap(),
            Route::ReloadImages
        );
    }

    #[test]
    fn what_is_not_known_is_refused_with_a_reason() {
        for path in [
            "/",
            "/v1",
            "/v2/pods",
            "/v1/pods/a",
            "/v1/pods/a/b/c",
            "/v1/pods/a/b/c/d/e/f",
        ] {
            assert_eq!(get(path, None).unwrap_err().reason(), "NotFound", "{path}");
        }
        assert_eq!(get("/v1/drain", None).unwrap_err().reason(), "MethodNotAllowed");
        assert_eq!(
            route(&Method::POST, "/v1/pods", None).unwrap_err().reason(),
            "MethodNotAllowed"
        );
        assert_eq!(get("/v1/pods/UPPER/x", None).unwrap_err().reason(), "BadRequest");
        assert_eq!(get("/v1/pods/../x", None).unwrap_err().reason(), "BadRequest");
        assert_eq!(
            get("/v1/pods", Some("label=x")).unwrap_err().reason(),
            "BadRequest"
        );
    }
}
