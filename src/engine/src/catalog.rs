//! The one set of objects that all sources together want.
//!
//! Two files that define the same object are both reported, and the definition that was there first goes on.
//! After a restart of the agent, that is the one that already runs. An object whose file has errors now is held
//! as it last was: a slip of an editor ends no pod.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pinnace_api::{Document, ObjectKey, Problem, Severity};
use pinnace_core::objects::ObjectTable;

use crate::source::{Item, Listing, Placed, SourceId};

/// What is wanted, and what is wrong with the rest.
#[derive(Debug, Default)]
pub struct Catalog {
    expected: BTreeSet<SourceId>,
    listings: BTreeMap<SourceId, Listing>,
    chosen: BTreeMap<ObjectKey, Chosen>,
    /// Which definitions are running already, until every source has listed.
    running: BTreeMap<ObjectKey, RunningAs>,
    /// Objects of an earlier agent's pods that no listing has shown yet: their files may be broken now.
    unseen: BTreeSet<ObjectKey>,
    problems: Vec<Problem>,
}

/// By what the definition is known that an earlier agent's pod was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunningAs {
    /// A pod's document.
    Pod(Document),
    /// The revision of a controller's template.
    Revision(String),
}

impl RunningAs {
    fn is_of(&self, item: &Item) -> bool {
        match (self, item) {
            (RunningAs::Pod(document), Item::Pod(pod)) => pod.document == *document,
            (RunningAs::Revision(revision), Item::DaemonSet(set)) => {
                set.template_document.digest() == *revision
            }
            _ => false,
        }
    }
}

/// An object with its place.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The object and where it stands.
    pub placed: Placed,
    /// The source that delivered it.
    pub source: SourceId,
}

impl Catalog {
    /// Of these sources; see [`Catalog::is_complete`].
    pub fn new(expected: impl IntoIterator<Item = SourceId>) -> Self {
        Self {
            expected: expected.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Every source has delivered at least one complete list.
    pub fn is_complete(&self) -> bool {
        self.expected
            .iter()
            .all(|source| self.listings.contains_key(source))
    }

    /// The sources that have not listed yet.
    pub fn missing(&self) -> Vec<&'static str> {
        self.expected
            .iter()
            .filter(|source| !self.listings.contains_key(*source))
            .map(|id| id.0)
            .collect()
    }

    /// Takes note of what runs already: of several definitions of the object, that one goes on.
    pub fn note_running(&mut self, key: ObjectKey, running: RunningAs) {
        self.unseen.insert(key.clone());
        self.running.insert(key, running);
    }

    /// Whether a broken document may be what defines an object of an earlier agent's pod: then the pod goes
    /// on, as one does whose file breaks under a living agent.
    pub fn may_be_hidden(&self, key: &ObjectKey) -> bool {
        let hides = |problem: &Problem| problem.severity == Severity::Error && is_about(problem, key);
        self.unseen.contains(key) && self.problems.iter().any(hides)
    }

    /// Takes a complete list in place of the source's one before.
    pub fn take(&mut self, source: SourceId, listing: Listing) {
        self.listings.insert(source, listing);
        let before = std::mem::take(&mut self.chosen);
        let mut problems: Vec<Problem> = self
            .listings
            .values()
            .flat_map(|listing| listing.problems.iter().cloned())
            .collect();
        self.chosen = choose(&self.listings, &before, &self.running, &mut problems);
        keep_immutable(&before, &mut self.chosen, &mut problems);
        hold(&self.listings, before, &mut self.chosen, &mut problems);
        self.unseen.retain(|key| !self.chosen.contains_key(key));
        self.problems = problems;
        if self.is_complete() {
            self.running.clear();
        }
    }

    /// Objects by identity.
    pub fn objects(&self) -> &BTreeMap<ObjectKey, Chosen> {
        &self.chosen
    }

    /// The ConfigMaps and Secrets that pods may take from.
    pub fn object_table(&self) -> ObjectTable {
        let mut table = ObjectTable {
            complete: self.is_complete(),
            ..ObjectTable::default()
        };
        for (key, chosen) in &self.chosen {
            let name = (key.namespace.clone(), key.name.clone());
            match &chosen.placed.item {
                Item::ConfigMap(map) => _ = table.config_maps.insert(name, Arc::clone(map)),
                Item::Secret(secret) => _ = table.secrets.insert(name, Arc::clone(secret)),
                _ => {}
            }
        }
        table
    }

    /// Everything that is wrong with the manifests.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn choose(
    listings: &BTreeMap<SourceId, Listing>,
    before: &BTreeMap<ObjectKey, Chosen>,
    running: &BTreeMap<ObjectKey, RunningAs>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<ObjectKey, Chosen> {
    let mut candidates: BTreeMap<ObjectKey, Vec<Chosen>> = BTreeMap::new();
    for (source, listing) in listings {
        for placed in &listing.objects {
            let chosen = Chosen {
                placed: placed.clone(),
                source: source.clone(),
            };
            candidates.entry(placed.key.clone()).or_default().push(chosen);
        }
    }
    candidates
        .into_iter()
        .filter_map(|(key, mut all)| {
            let runs = running
                .get(&key)
                .and_then(|running| all.iter().position(|one| running.is_of(&one.placed.item)));
            let was_there = || {
                let old = before.get(&key)?;
                all.iter().position(|one| same_place(&one.placed, &old.placed))
            };
            let kept = runs.or_else(was_there).unwrap_or(0);
            if all.len() > 1 && !matches!(all[kept].placed.item, Item::Noted(_) | Item::Namespace(_)) {
                problems.extend(all.iter().map(|one| twice(&key, &one.placed, &all[kept].placed)));
            }
            (kept < all.len()).then(|| (key, all.swap_remove(kept)))
        })
        .collect()
}

/// What an immutable ConfigMap or Secret holds stays as long as the object is there.
fn keep_immutable(
    before: &BTreeMap<ObjectKey, Chosen>,
    chosen: &mut BTreeMap<ObjectKey, Chosen>,
    problems: &mut Vec<Problem>,
) {
    for (key, now) in chosen {
        let Some(old) = before.get(key) else { continue };
        let Some(field) = forbidden_change(&old.placed.item, &now.placed.item) else {
            continue;
        };
        let why = match field {
            "type" => "field is immutable",
            _ => "Forbidden: field is immutable when `immutable` is set",
        };
        problems.push(Problem {
            severity: Severity::Error,
            file: now.placed.file.clone(),
            line: Some(now.placed.line),
            object: Some(key.to_string()),
            field: Some(field.to_owned()),
            message: format!("{why}; the object stays as it was"),
        });
        now.placed.item = old.placed.item.clone();
    }
}

/// The field that may not differ and does.
fn forbidden_change(old: &Item, new: &Item) -> Option<&'static str> {
    let first = |fields: [(&'static str, bool); 3]| {
        let changed = fields.into_iter().find(|(_, same)| !same);
        changed.map(|(field, _)| field)
    };
    match (old, new) {
        (Item::ConfigMap(old), Item::ConfigMap(new)) if old.immutable => first([
            ("immutable", new.immutable),
            ("data", old.data == new.data),
            ("binaryData", old.binary_data == new.binary_data),
        ]),
        (Item::Secret(old), Item::Secret(new)) if old.immutable => first([
            ("immutable", new.immutable),
            ("data", old.data == new.data),
            ("type", old.kind == new.kind),
        ]),
        // A Secret's type never changes.
        (Item::Secret(old), Item::Secret(new)) => (old.kind != new.kind).then_some("type"),
        _ => None,
    }
}

fn same_place(one: &Placed, other: &Placed) -> bool {
    one.file == other.file
}

fn twice(key: &ObjectKey, here: &Placed, kept: &Placed) -> Problem {
    Problem {
        severity: Severity::Error,
        file: here.file.clone(),
        line: Some(here.line),
        object: Some(key.to_string()),
        field: Some("metadata.name".to_owned()),
        message: format!(
            "the object is defined more than once; the definition in {}:{} is the one in use",
            kept.file, kept.line
        ),
    }
}

/// Objects that are gone from a file which has errors now stay as they were.
fn hold(
    listings: &BTreeMap<SourceId, Listing>,
    before: BTreeMap<ObjectKey, Chosen>,
    chosen: &mut BTreeMap<ObjectKey, Chosen>,
    problems: &mut Vec<Problem>,
) {
    for (key, old) in before {
        if chosen.contains_key(&key) {
            continue;
        }
        let broken = listings.get(&old.source).and_then(|listing| {
            listing
                .problems
                .iter()
                .find(|problem| may_have_been(problem, &key, &old.placed.file))
        });
        if let Some(broken) = broken {
            problems.push(Problem {
                severity: Severity::Warning,
                object: Some(key.to_string()),
                message: "the object is held as it was before the error in its file".to_owned(),
                ..broken.clone()
            });
            chosen.insert(key, old);
        }
    }
}

/// Whether the document with this problem may be the one that defined the object.
fn may_have_been(problem: &Problem, key: &ObjectKey, file: &str) -> bool {
    problem.severity == Severity::Error && problem.file == file && is_about(problem, key)
}

/// Whether the problem names this object, or cannot tell which it is about.
fn is_about(problem: &Problem, key: &ObjectKey) -> bool {
    problem
        .object
        .as_ref()
        .is_none_or(|object| *object == key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinnace_api::read::{ReadLimits, read_documents};

    const SOURCE: SourceId = SourceId("directory");

    fn listing(files: &[(&str, &str)]) -> Listing {
        let mut listing = Listing::default();
        for (file, text) in files {
            let reading = read_documents(text.as_bytes(), file, &ReadLimits::default());
            listing.objects.extend(
                reading
                    .objects
                    .into_iter()
                    .map(|located| Placed::of(located, file)),
            );
            listing.problems.extend(reading.problems);
        }
        listing
    }

    fn pod(name: &str, image: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: '{image}'}}]}}\n"
        )
    }

    fn image(catalog: &Catalog, name: &str) -> Option<String> {
        catalog
            .objects()
            .values()
            .find_map(|chosen| match &chosen.placed.item {
                Item::Pod(pod) if pod.meta.name.as_str() == name => {
                    Some(pod.spec.containers[0].image.clone())
                }
                _ => None,
            })
    }

    #[test]
    fn of_two_definitions_both_are_reported_and_the_first_goes_on() {
        let mut catalog = Catalog::new([SOURCE]);
        catalog.take(SOURCE, listing(&[("z.yaml", &pod("a", "one:1"))]));
        catalog.take(
            SOURCE,
            listing(&[("b.yaml", &pod("a", "two:1")), ("z.yaml", &pod("a", "one:1"))]),
        );
        assert_eq!(image(&catalog, "a").as_deref(), Some("one:1"));
        let files: BTreeSet<&str> = catalog
            .problems()
            .iter()
            .map(|problem| problem.file.as_str())
            .collect();
        assert_eq!(files, BTreeSet::from(["b.yaml", "z.yaml"]));
    }

    #[test]
    fn after_a_restart_the_definition_that_already_runs_goes_on() {
        let files = [("b.yaml", pod("a", "two:1")), ("z.yaml", pod("a", "one:1"))];
        let both = listing(&files.each_ref().map(|(file, text)| (*file, text.as_str())));
        let Item::Pod(running) = &both.objects[1].item else {
            panic!("no pod")
        };
        let mut catalog = Catalog::new([SOURCE]);
        catalog.note_running(
            both.objects[1].key.clone(),
            RunningAs::Pod(running.document.clone()),
        );
        catalog.take(SOURCE, both);
        assert_eq!(image(&catalog, "a").as_deref(), Some("one:1"));
        assert_eq!(catalog.problems().len(), 2);
    }

    #[test]
    fn after_a_restart_a_broken_file_may_hide_what_runs_until_it_is_mended() {
        let good = pod("a", "one:1");
        let shown = listing(&[("a.yaml", good.as_str())]);
        let key = shown.objects[0].key.clone();
        let mut catalog = Catalog::new([SOURCE]);
        catalog.note_running(key.clone(), RunningAs::Revision("any".to_owned()));
        catalog.take(SOURCE, listing(&[("a.yaml", "kind: [\n")]));
        assert!(catalog.may_be_hidden(&key));
        catalog.take(
            SOURCE,
            listing(&[("a.yaml", &pod("b", "one:1").replace("image", "imaeg"))]),
        );
        assert!(
            !catalog.may_be_hidden(&key),
            "the broken document names another object"
        );
        catalog.take(SOURCE, shown);
        catalog.take(SOURCE, listing(&[("c.yaml", "kind: [\n")]));
        assert!(
            !catalog.may_be_hidden(&key),
            "its own file is gone, whatever another one hides"
        );
    }

    #[test]
    fn an_object_goes_on_while_its_file_is_broken_and_goes_when_the_file_goes() {
        let mut catalog = Catalog::new([SOURCE]);
        catalog.take(
            SOURCE,
            listing(&[("a.yaml", &pod("a", "one:1")), ("b.yaml", &pod("b", "one:1"))]),
        );
        catalog.take(
            SOURCE,
            listing(&[("a.yaml", "kind: [\n"), ("b.yaml", &pod("b", "one:1"))]),
        );
        assert_eq!(image(&catalog, "a").as_deref(), Some("one:1"));
        catalog.take(SOURCE, listing(&[("b.yaml", &pod("b", "one:1"))]));
        assert_eq!(image(&catalog, "a"), None);
        assert!(image(&catalog, "b").is_some());
    }

    #[test]
    fn an_object_taken_out_of_a_file_goes_although_another_document_of_the_file_is_broken() {
        let mut catalog = Catalog::new([SOURCE]);
        let broken = pod("b", "one:1").replace("image", "imaeg");
        catalog.take(
            SOURCE,
            listing(&[(
                "a.yaml",
                &format!("{}---\n{}", pod("a", "one:1"), pod("b", "one:1")),
            )]),
        );
        catalog.take(SOURCE, listing(&[("a.yaml", &broken)]));
        assert_eq!(image(&catalog, "a"), None);
        assert_eq!(image(&catalog, "b").as_deref(), Some("one:1"));
    }

    #[test]
    fn the_catalog_is_complete_only_when_every_source_has_listed() {
        let mut catalog = Catalog::new([SOURCE, SourceId("url")]);
        catalog.take(SOURCE, Listing::default());
        assert!(!catalog.is_complete());
        assert_eq!(catalog.missing(), ["url"]);
        catalog.take(SourceId("url"), Listing::default());
        assert!(catalog.is_complete());
    }
}
