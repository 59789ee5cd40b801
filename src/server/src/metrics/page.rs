//! The page at `/`: links, readiness and, for local peers, the pods.

use super::PodLine;

/// Rows of the table; the command line shows the rest.
const MOST_ROWS: usize = 500;

/// The page as HTML; `pods` only for peers that may see them.
pub(super) fn render(pods: Option<&[PodLine]>, ready: Result<(), String>) -> String {
    let mut page = String::with_capacity(1024);
    page.push_str(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>pinnace</title>\n\
         <style>body{font-family:sans-serif;margin:2em}td,th{text-align:left;padding:0 1.5em 0 0}</style>\n\
         </head><body><h1>pinnace</h1>\n<p><a href=\"/metrics\">metrics</a> · \
         <a href=\"/healthz\">healthz</a> · <a href=\"/readyz\">readyz</a></p>\n",
    );
    match ready {
        Ok(()) => page.push_str("<p>This node is ready.</p>\n"),
        Err(waiting) => {
            page.push_str("<p>This node is not ready: ");
            escape(&mut page, &waiting);
            page.push_str("</p>\n");
        }
    }
    if let Some(pods) = pods {
        table(&mut page, pods);
    }
    page.push_str("</body></html>\n");
    page
}

fn table(page: &mut String, pods: &[PodLine]) {
    page.push_str(
        "<table><tr><th>Namespace</th><th>Name</th><th>Ready</th><th>Status</th><th>Restarts</th></tr>\n",
    );
    for pod in pods.iter().take(MOST_ROWS) {
        page.push_str("<tr>");
        for cell in [
            &pod.namespace,
            &pod.name,
            &pod.ready,
            &pod.status,
            &pod.restarts.to_string(),
        ] {
            page.push_str("<td>");
            escape(page, cell);
            page.push_str("</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
    if let Some(more @ 1..) = pods.len().checked_sub(MOST_ROWS) {
        page.push_str(&format!(
            "<p>and {more} more: <code>pinnace get pods -A</code></p>\n"
        ));
    }
}

fn escape(page: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '&' => page.push_str("&amp;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> PodLine {
        PodLine {
            namespace: "default".into(),
            name: name.into(),
            ready: "1/1".into(),
            status: "Running".into(),
            restarts: 0,
        }
    }

    #[test]
    fn markup_in_values_stays_text() {
        let page = render(Some(&[pod("<script>")]), Err("a & b".into()));
        assert!(page.contains("&lt;script&gt;") && page.contains("a &amp; b") && !page.contains("<script>"));
    }

    #[test]
    fn table_is_bounded_and_says_how_many_are_left_out() {
        let pods: Vec<_> = (0..MOST_ROWS + 3).map(|n| pod(&format!("p{n}"))).collect();
        let page = render(Some(&pods), Ok(()));
        assert_eq!(page.matches("<tr><td>").count(), MOST_ROWS);
        assert!(page.contains("and 3 more"));
        assert!(!render(None, Ok(())).contains("<table>"));
    }
}
