//! The HTML page around the sections, and its tables. The page is self-contained: no script, no external font or image.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The design of all pages, and what reports add to it.
const STYLE: [&str; 2] = [include_str!("../../pages/style.css"), include_str!("page.css")];

/// A section of a page.
#[derive(Clone, Debug)]
pub struct Section {
    /// The anchor of links to it.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its content.
    pub body: Markup,
}

/// An HTML page.
#[derive(Clone, Debug)]
pub struct HtmlPage {
    /// Its heading.
    pub title: String,
    /// A short description below the heading.
    pub about: String,
    /// The main results at the top: name and value.
    pub tiles: Vec<(&'static str, String)>,
    /// What was left out, each as a sentence.
    pub left_out: Vec<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

impl HtmlPage {
    /// The page as HTML.
    pub fn html(&self) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " - gpunn" }
                    style { (PreEscaped(STYLE.concat())) }
                }
                body { main {
                    h1 { (self.title) }
                    p.faint { (self.about) }
                    @if !self.tiles.is_empty() {
                        dl.tiles { @for (what, figure) in &self.tiles { div { dt { (what) } dd { (figure) } } } }
                    }
                    @if !self.left_out.is_empty() {
                        div.notes {
                            strong { "Left out" }
                            ul { @for sentence in &self.left_out { li { (sentence) } } }
                        }
                    }
                    nav { @for section in &self.sections { a href=(format!("#{}", section.id)) { (section.title) } } }
                    @for section in &self.sections {
                        section id=(section.id) { h2 { (section.title) } (section.body) }
                    }
                } }
            }
        }
        .into_string()
    }
}

/// A table of names and values.
pub fn facts(rows: &[(&str, String)]) -> Markup {
    html! { div.wide { table { tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } } } } }
}

/// A table with a head. The first `text` columns hold text, the others numbers.
pub fn table(head: &[&str], text: usize, rows: &[Vec<String>]) -> Markup {
    html! {
        div.wide { table {
            thead { tr { @for (column, name) in head.iter().enumerate() { th.n[column >= text] scope="col" { (name) } } } }
            tbody {
                @for row in rows {
                    tr { @for (column, value) in row.iter().enumerate() { td.n[column >= text] { (value) } } }
                }
            }
        } }
    }
}
