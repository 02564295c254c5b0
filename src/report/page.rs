//! The page itself: what surrounds the sections, and the small parts that several of them use. It needs nothing else: no
//! script, no font, no image from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::draw;

const STYLE: &str = include_str!("page.css");

/// A section of a page.
#[derive(Clone, Debug)]
pub struct Section {
    /// What links to it name.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What stands in it.
    pub body: Markup,
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its heading.
    pub title: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Figures that stand first: what, and how much.
    pub tiles: Vec<(&'static str, String)>,
    /// What was left out, each as a sentence.
    pub left_out: Vec<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

impl Page {
    /// As HTML.
    pub fn html(&self) -> String {
        let [light, dark] = draw::schemes();
        let style = STYLE.replace("LIGHT", &light).replace("DARK", &dark);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " - gpunn" }
                    style { (PreEscaped(style)) }
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

/// A table of names and what they are.
pub fn facts(rows: &[(&str, String)]) -> Markup {
    html! { div.wide { table { tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } } } } }
}

/// A table with a head; columns from `text` on are figures.
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
