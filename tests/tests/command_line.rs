//! What the verbs print, and their exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::process::{Command, Output};

use nix::sys::signal::Signal;
use pinnace_tests::manifest::{GO_ON, pod, shell};
use pinnace_tests::{Node, images};
use serde_json::{Value, json};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn web() -> String {
    pod(
        "web",
        json!({"terminationGracePeriodSeconds": 0, "containers": [shell("one", GO_ON)]}),
    )
}

const SET: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: set, namespace: tools}
spec:
  selector: {matchLabels: {app: set}}
  template:
    metadata: {labels: {app: set}}
    spec:
      nodeSelector: {disk: fast}
      containers: [{name: one, image: 'busybox:test'}]
";

/// The words of a table's row that begins with this word in its second column.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let mut rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|row| row.get(1) == Some(&name))
        .unwrap_or_else(|| panic!("no row of {name} in\n{table}"))
}

#[test]
fn get_lists_as_kubectl_does() {
    let mut node = Node::started();
    node.lay("web.json", &web());
    node.lay("set.yaml", SET);
    let running = node.wait_running("web");
    let table = node.prints(&["get", "pods"]);
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        header,
        ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    );
    assert_eq!(row(&table, "web")[..5], ["default", "web", "1/1", "Running", "0"]);
    let wide = node.prints(&["get", "po", "-o", "wide"]);
    assert!(wide.lines().next().unwrap().contains("NODE"), "{wide}");
    assert!(row(&wide, "web").contains(&"test"), "{wide}");
    let one: Value = serde_json::from_str(&node.prints(&["get", "pod", "web", "-o", "json"])).unwrap();
    assert_eq!(
        (&one["kind"], &one["metadata"]["uid"]),
        (&json!("Pod"), &running["metadata"]["uid"])
    );
    assert_eq!(
        (
            &one["spec"]["restartPolicy"],
            &one["spec"]["containers"][0]["terminationMessagePolicy"]
        ),
        (&json!("Always"), &json!("File")),
        "defaults are shown"
    );
    let list: Value = serde_json::from_str(&node.prints(&["get", "pods", "-o", "json"])).unwrap();
    assert_eq!(
        (&list["apiVersion"], list["items"].as_array().unwrap().len()),
        (&json!("v1"), 1)
    );
    assert_eq!(node.prints(&["get", "pods", "-o", "name"]), "pod/web\n");
    let yaml = node.prints(&["get", "pods", "-o", "yaml"]);
    assert!(
        yaml.contains("kind: Pod") && yaml.contains("phase: Running"),
        "{yaml}"
    );

    let none = node.pinnace(&["get", "pods", "-n", "nowhere"]);
    assert_eq!((none.status.code(), out(&none).as_str()), (Some(0), ""));
    assert!(err(&none).contains("No resources found"), "{}", err(&none));
    let absent = node.pinnace(&["get", "pods", "nobody"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(
        err(&absent).contains("pods \"nobody\" not found"),
        "{}",
        err(&absent)
    );

    let sets = node.prints(&["get", "ds"]);
    assert_eq!(
        row(&sets, "set")[..7],
        ["tools", "set", "0", "0", "0", "0", "0"],
        "{sets}"
    );
    assert!(row(&sets, "set").contains(&"disk=fast"), "{sets}");
    let nodes = node.prints(&["get", "node", "-o", "wide"]);
    let first: Vec<&str> = nodes.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(first[..2], ["test", "Ready"], "{nodes}");
    let object: Value = serde_json::from_str(&node.prints(&["get", "node", "-o", "json"])).unwrap();
    let object = object["items"].get(0).unwrap_or(&object);
    assert_eq!(object["status"]["allocatable"]["pods"], "110", "{object:#}");
    assert_eq!(object["metadata"]["labels"]["kubernetes.io/os"], "linux");
    let events = node.prints(&["get", "events"]);
    for reason in ["Scheduled", "Created", "Started"] {
        assert!(events.contains(reason), "{events}");
    }
    node.drain_and_find_nothing();
}

#[test]
fn describe_shows_an_object_and_what_happened_to_it() {
    let mut node = Node::started();
    node.lay("web.json", &web());
    node.lay("set.yaml", SET);
    node.wait_running("web");
    let text = node.prints(&["describe", "pod", "web"]);
    assert!(
        text.starts_with("Name:         web\nNamespace:    default\nPriority:     0\nNode:         test"),
        "{text}"
    );
    assert!(
        text.contains("\nStatus:       Running\n") && text.contains("Started container one"),
        "{text}"
    );
    for line in [
        "Containers:\n  one:\n",
        "    State:          Running\n",
        "    Restart Count:  0\n",
        "  Type     ",
    ] {
        assert!(text.contains(line), "{line:?} is missing:\n{text}");
    }
    let set = node.prints(&["describe", "daemonset", "set", "-n", "tools"]);
    assert!(
        set.contains("disk=fast"),
        "it says why there is no pod here: {set}"
    );
    let of_node = node.prints(&["describe", "node"]);
    assert!(
        of_node.starts_with("Name:               test\n") && of_node.contains("Allocatable:\n  cpu:"),
        "{of_node}"
    );
    assert!(of_node.contains("(1 in total)"), "{of_node}");
    let all = node.prints(&["describe", "pods"]);
    assert!(all.starts_with("Name:         web\n"), "{all}");
    for wrong in [["describe", "node", "other"], ["get", "node", "other"]] {
        assert_eq!(node.pinnace(&wrong).status.code(), Some(1), "{wrong:?}");
    }
    assert_eq!(
        node.pinnace(&["describe", "pod", "nobody"]).status.code(),
        Some(1)
    );
    node.drain_and_find_nothing();
}

#[test]
fn without_an_agent_its_verbs_say_so_and_end_with_3() {
    let node = Node::new();
    let verbs: [&[&str]; 5] = [
        &["get", "pods"],
        &["describe", "node"],
        &["exec", "web", "--", "true"],
        &["drain", "--all"],
        &["get", "events", "-o", "json"],
    ];
    for verb in verbs {
        let output = node.pinnace(verb);
        assert_eq!(output.status.code(), Some(3), "{verb:?}: {}", err(&output));
        let said = err(&output);
        assert!(
            said.contains("not running") && said.contains(node.root().to_str().unwrap()),
            "{verb:?}: {said}"
        );
        assert_eq!(out(&output), "", "{verb:?}");
    }
}

#[test]
fn logs_and_images_are_there_without_an_agent_too() {
    let mut node = Node::started();
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [shell("one", &format!("echo hello; {GO_ON}"))]});
    node.lay("web.json", &pod("web", spec));
    node.wait_running("web");
    node.end_agent(Signal::SIGTERM);
    assert_eq!(node.prints(&["logs", "web"]), "hello\n");
    assert!(
        node.prints(&["image", "ls"])
            .contains("docker.io/library/busybox:test")
    );
    node.start();
    node.drain_and_find_nothing();
}

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let node = Node::new();
    let wrong: [&[&str]; 5] = [&[], &["frobnicate"], &["get"], &["get", "cows"], &["exec", "web"]];
    for line in wrong {
        let output = node.pinnace(line);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {}", err(&output));
    }
    for verb in [
        "agent", "get", "describe", "logs", "exec", "validate", "plan", "image", "config", "drain",
    ] {
        assert!(!node.prints(&[verb, "--help"]).is_empty());
    }
    let version = node.prints(&["version"]);
    assert!(
        version.starts_with("pinnace ") && version.trim().split('.').count() == 3,
        "{version}"
    );
    assert_eq!(node.prints(&["--version"]), version);
}

#[test]
fn validate_tells_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let node = Node::new();
    let good = file("good.json", &web());
    let fine = node.pinnace(&["validate", &good]);
    assert_eq!(fine.status.code(), Some(0));
    assert!(
        out(&fine).ends_with("1 objects, 0 errors, 0 warnings\n"),
        "{}",
        out(&fine)
    );
    let folder_too = node.pinnace(&["validate", folder.path().to_str().unwrap()]);
    assert_eq!(
        out(&folder_too),
        out(&fine),
        "a directory stands for its manifests"
    );
    let bad = file(
        "bad.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: one\n    imaeg: x\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: b\nspec:\n  containers:\n  - name: one\n    image: x\n    resources:\n      limits:\n        memory: lots\n",
    );
    let output = node.pinnace(&["validate", &good, &bad]);
    assert_eq!(output.status.code(), Some(1));
    let said = out(&output);
    assert!(
        said.contains(&format!(
            "error: {bad}:8: Pod default/a: spec.containers[0].imaeg: "
        )),
        "{said}"
    );
    assert!(
        said.contains(&format!(
            "error: {bad}:20: Pod default/b: spec.containers[0].resources.limits"
        )),
        "{said}"
    );
    let absent = node.pinnace(&["validate", "/no/such/file"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(
        out(&absent).contains("/no/such/file: cannot be read"),
        "{}",
        out(&absent)
    );
    for example in [
        "fluentd-daemonset.yaml",
        "node-exporter-daemonset.yaml",
        "limited-pod.yaml",
    ] {
        let path = images::repository().join("config/examples").join(example);
        let output = node.pinnace(&["validate", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    }
}

#[test]
fn plan_says_what_would_start_change_stop_and_stay() {
    let mut node = Node::started();
    for name in ["stays", "changes", "goes"] {
        node.lay(
            &format!("{name}.json"),
            &web().replace("\"web\"", &format!("{name:?}")),
        );
        node.wait_running(name);
    }
    let next = tempfile::tempdir().unwrap();
    let lay = |name: &str, text: &str| std::fs::write(next.path().join(name), text).unwrap();
    lay("stays.json", &web().replace("\"web\"", "\"stays\""));
    lay(
        "changes.json",
        &web()
            .replace("\"web\"", "\"changes\"")
            .replace("busybox:test", "busybox:other"),
    );
    lay("starts.json", &web().replace("\"web\"", "\"starts\""));
    lay("set.yaml", SET);
    let output = node.pinnace(&["plan", next.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let said = out(&output);
    let line = |name: &str| {
        said.lines()
            .find(|line| line.contains(&format!("/{name}: ")))
            .unwrap_or_else(|| panic!("{said}"))
    };
    for (name, verb) in [
        ("stays", "keep"),
        ("changes", "replace"),
        ("starts", "start"),
        ("goes", "stop"),
        ("set", "no pod here"),
    ] {
        assert!(line(name).contains(&format!("/{name}: {verb}")), "{said}");
    }
    assert_eq!(node.pods().len(), 3, "a plan changes nothing");
    node.drain_and_find_nothing();
}

#[test]
fn config_check_tells_what_is_wrong_and_show_what_is_in_force() {
    let node = Node::new();
    assert_eq!(node.pinnace(&["config", "check"]).status.code(), Some(0));
    node.configure("nodeName: test\nmaxPods: 7\n");
    std::fs::write(
        node.path("etc/pinnace/config.d/10-more.yaml"),
        "podPidsLimit: 55\n",
    )
    .unwrap();
    let shown = node.prints(&["config", "show"]);
    assert!(
        shown.contains("maxPods: 7") && shown.contains("podPidsLimit: 55"),
        "{shown}"
    );
    assert!(shown.contains("config.d/10-more.yaml"), "{shown}");
    node.configure("nodeName: test\nmaxPosd: 7\n");
    let wrong = node.pinnace(&["config", "check"]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = out(&wrong);
    assert!(
        said.contains("config.yaml:2") && said.contains("maxPosd"),
        "{said}"
    );
    assert_eq!(node.pinnace(&["config", "show"]).status.code(), Some(1));
}

#[test]
fn images_are_listed_imported_and_removed_unless_used() {
    let mut node = Node::started();
    node.lay("web.json", &web());
    node.wait_running("web");
    let listed = node.prints(&["image", "ls"]);
    assert!(listed.lines().next().unwrap().starts_with("IMAGE"), "{listed}");
    assert!(listed.contains("docker.io/library/busybox:test"), "{listed}");
    let refused = node.pinnace(&["image", "rm", "busybox:test"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        err(&refused).contains("in use by default/web"),
        "{}",
        err(&refused)
    );
    assert!(node.prints(&["image", "ls"]).contains("busybox:test"));
    let absent = node.pinnace(&["image", "rm", "nothing:here"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(err(&absent).contains("not in the store"), "{}", err(&absent));
    let no_archive = node.pinnace(&["image", "import", "/etc/passwd"]);
    assert_eq!(no_archive.status.code(), Some(1));
    assert!(err(&no_archive).contains("/etc/passwd"), "{}", err(&no_archive));

    std::fs::remove_file(node.path("var/lib/pinnace/bundles/busybox.tar")).unwrap();
    node.take_away("web.json");
    node.wait_gone("web");
    node.prints(&["image", "rm", "busybox:test"]);
    assert!(!node.prints(&["image", "ls"]).contains("busybox"));
    let archive = std::fs::File::open(images::busybox()).unwrap();
    let imported = node
        .command(&["image", "import", "-"])
        .stdin(archive)
        .output()
        .unwrap();
    assert!(imported.status.success(), "{}", err(&imported));
    assert!(node.prints(&["image", "ls"]).contains("busybox:test"));
    node.lay("web.json", &web());
    node.wait_running("web");
    node.drain_and_find_nothing();
}

#[test]
fn the_root_may_come_from_the_environment() {
    let node = Node::started();
    let output = Command::new(images::program("pinnace"))
        .env("PINNACE_ROOT", node.root())
        .args(["get", "node"])
        .output()
        .unwrap();
    assert!(out(&output).contains("test"), "{}", err(&output));
}
