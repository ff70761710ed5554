//! REST routes, read from the `google.api.http` annotations of the services.

use http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

/// One piece of a path between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// A field of the request.
    Field(String),
    /// A field that takes the rest of the path, slashes included.
    Rest(String),
}

/// A REST route of a gRPC method.
#[derive(Clone, Debug)]
pub struct Route {
    pub verb: Method,
    pub method: MethodDescriptor,
    /// Field that the body is; `*` for the whole request.
    pub body: String,
    segments: Vec<Segment>,
}

impl Route {
    fn new(verb: Method, method: MethodDescriptor, template: &str, body: String) -> Self {
        let segment =
            |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
                None => Segment::Literal(text.to_owned()),
                Some(field) => match field.split_once('=') {
                    Some((field, _)) => Segment::Rest(field.to_owned()),
                    None => Segment::Field(field.to_owned()),
                },
            };
        let segments = template.trim_matches('/').split('/').map(segment).collect();
        Self { verb, method, body, segments }
    }

    /// The gRPC path that it calls.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.method.parent_service().full_name(), self.method.name())
    }

    /// The fields in `path`, if it is of this route.
    pub fn matches(&self, path: &str) -> Option<Vec<(String, String)>> {
        let mut rest = path.trim_matches('/');
        let mut more = !rest.is_empty();
        let mut fields = Vec::new();
        for segment in &self.segments {
            if !more {
                return None;
            }
            if let Segment::Rest(field) = segment {
                fields.push((field.clone(), percent_decode(rest, false)?));
                return Some(fields);
            }
            let (part, tail) = rest.split_once('/').map_or((rest, None), |(a, b)| (a, Some(b)));
            match segment {
                Segment::Literal(text) if text == part => {}
                Segment::Field(field) if !part.is_empty() => {
                    fields.push((field.clone(), percent_decode(part, false)?));
                }
                _ => return None,
            }
            more = tail.is_some();
            rest = tail.unwrap_or_default();
        }
        (!more).then_some(fields)
    }

    /// Where two routes match one path, the one with literals earlier wins.
    fn rank(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Field(_) => 1,
            Segment::Rest(_) => 2,
        };
        self.segments.iter().map(rank).collect()
    }
}

/// Every annotated route of the methods that `serves` says yes to.
pub fn routes(pool: &DescriptorPool, serves: impl Fn(&str) -> bool) -> Vec<Route> {
    let Some(annotation) = pool.get_extension_by_name("google.api.http") else { return Vec::new() };
    let mut routes = Vec::new();
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        if !serves(&path) {
            continue;
        }
        let options = method.options();
        let rule = options.get_extension(&annotation);
        let Some(rule) = rule.as_message() else { continue };
        add(&mut routes, &method, rule);
        let more = rule.get_field_by_name("additional_bindings");
        for rule in more.as_deref().and_then(Value::as_list).unwrap_or_default() {
            if let Some(rule) = rule.as_message() {
                add(&mut routes, &method, rule);
            }
        }
    }
    routes.sort_by_key(Route::rank);
    routes
}

fn add(routes: &mut Vec<Route>, method: &MethodDescriptor, rule: &DynamicMessage) {
    let text = |field: &str| {
        let value = rule.get_field_by_name(field);
        value.as_deref().and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for (verb, field) in [(Method::GET, "get"), (Method::POST, "post")] {
        let template = text(field);
        if !template.is_empty() {
            routes.push(Route::new(verb, method.clone(), &template, text("body")));
        }
    }
}

/// The fields of a query string, in order.
pub fn query_fields(query: &str) -> Option<Vec<(String, String)>> {
    let field = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((percent_decode(key, true)?, percent_decode(value, true)?))
    };
    query.split('&').filter(|pair| !pair.is_empty()).map(field).collect()
}

/// Undoes percent-encoding; `None` if it is broken or not UTF-8.
fn percent_decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(template: &str) -> Route {
        let pool = DescriptorPool::decode(plasma_proto::DESCRIPTORS).unwrap();
        let service = pool.get_service_by_name("plasma.market.v1.Query").unwrap();
        let method = service.methods().next().unwrap();
        Route::new(Method::GET, method, template, String::new())
    }

    #[test]
    fn templates_match_what_they_say() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let jobs = route("/plasma/market/v1/jobs/{job_id}");
        assert_eq!(jobs.matches("/plasma/market/v1/jobs/7"), Some(vec![field("job_id", "7")]));
        assert_eq!(jobs.matches("/plasma/market/v1/jobs/7/"), Some(vec![field("job_id", "7")]));
        assert_eq!(jobs.matches("/plasma/market/v1/jobs"), None);
        assert_eq!(jobs.matches("/plasma/market/v1/jobs/7/x"), None);
        assert_eq!(jobs.matches("/plasma/market/v1/jobs/%2"), None);
        let denom = route("/cosmos/bank/v1beta1/denoms_metadata/{denom=**}");
        let path = "/cosmos/bank/v1beta1/denoms_metadata/ibc/27%41";
        assert_eq!(denom.matches(path), Some(vec![field("denom", "ibc/27A")]));
    }

    #[test]
    fn queries_are_decoded() {
        let fields = query_fields("pagination.limit=2&a=b%20c+d&flag").unwrap();
        assert_eq!(fields[0], ("pagination.limit".into(), "2".into()));
        assert_eq!(fields[1], ("a".into(), "b c d".into()));
        assert_eq!(fields[2], ("flag".into(), String::new()));
        assert_eq!(query_fields("a=%zz"), None);
    }

    #[test]
    fn annotations_survive_in_the_descriptors() {
        let pool = DescriptorPool::decode(plasma_proto::DESCRIPTORS).unwrap();
        let routes = routes(&pool, |path| path.starts_with("/plasma."));
        assert!(routes.iter().any(|route| route.path() == "/plasma.market.v1.Query/Job"));
    }
}
