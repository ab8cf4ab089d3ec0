use std::fmt::{Display, Write as _};

use super::axis::Axis;

/// A picture with two axes, as SVG. Colours are classes, which the page's style gives for light and
/// for dark.
pub(super) struct Canvas {
    x: Axis,
    y: Axis,
    svg: String,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;

impl Canvas {
    /// Draws both axes. `title` is for those who do not see the picture.
    pub(super) fn new(
        title: &str,
        (x, x_name, x_words): (Axis, &str, fn(f64) -> String),
        (y, y_words): (Axis, fn(f64) -> String),
    ) -> Self {
        let mut canvas = Self { x, y, svg: String::new() };
        canvas.push(format_args!(
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">"#
        ));
        for tick in y.ticks() {
            let at = canvas.y(tick);
            canvas.push(format_args!(
                r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/><text class="tick end" x="{:.1}" y="{:.1}">{}</text>"#,
                WIDTH - RIGHT, LEFT - 8.0, at + 4.0, y_words(tick)
            ));
        }
        let floor = HEIGHT - BOTTOM;
        for tick in x.ticks() {
            let at = canvas.x(tick);
            canvas.push(format_args!(
                r#"<line class="axis" x1="{at:.1}" x2="{at:.1}" y1="{floor}" y2="{:.1}"/><text class="tick middle" x="{at:.1}" y="{:.1}">{}</text>"#,
                floor + 5.0, floor + 19.0, x_words(tick)
            ));
        }
        canvas.push(format_args!(
            r#"<line class="axis" x1="{LEFT}" x2="{:.1}" y1="{floor}" y2="{floor}"/><text class="tick middle" x="{:.1}" y="{:.1}">{x_name}</text>"#,
            WIDTH - RIGHT, f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 8.0
        ));
        canvas
    }

    /// A stretch of the x axis is shaded and named.
    pub(super) fn shade(&mut self, from: f64, to: f64, name: &str) {
        let (left, right) = (self.x(from), self.x(to));
        self.push(format_args!(
            r#"<rect class="shade" x="{left:.1}" y="{TOP}" width="{:.1}" height="{:.1}"/>"#,
            (right - left).max(0.0),
            HEIGHT - TOP - BOTTOM
        ));
        if right - left > 50.0 {
            self.push(format_args!(
                r#"<text class="tick middle" x="{:.1}" y="{:.1}">{name}</text>"#,
                f64::midpoint(left, right),
                TOP + 12.0
            ));
        }
    }

    /// A bar from the floor, and what it says when it is pointed at.
    pub(super) fn bar(&mut self, class: &str, (from, to): (f64, f64), height: f64, says: &str) {
        let (left, right, top) = (self.x(from), self.x(to), self.y(height));
        let width = (right - left - 1.0).max(0.5);
        self.push(format_args!(
            r#"<rect class="{class}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{:.1}"><title>{says}</title></rect>"#,
            (HEIGHT - BOTTOM - top).max(0.0)
        ));
    }

    /// A line from point to point.
    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let places = points.into_iter().map(|(x, y)| (self.x(x), self.y(y)));
        let places: Vec<_> = places.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.push(format_args!(
            r#"<polyline class="line {class}" points="{}"/>"#,
            places.join(" ")
        ));
    }

    /// An upright line with a name, which stands lower the larger `row` is.
    pub(super) fn mark(&mut self, figure: f64, name: &str, row: u32) {
        let at = self.x(figure);
        let (class, beside) =
            if at > WIDTH - 110.0 { ("end", at - 4.0) } else { ("start", at + 4.0) };
        self.push(format_args!(
            r#"<line class="mark" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{:.1}"/><text class="tick {class}" x="{beside:.1}" y="{:.1}">{name}</text>"#,
            HEIGHT - BOTTOM, TOP + 10.0 + 14.0 * f64::from(row)
        ));
    }

    pub(super) fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }

    fn x(&self, figure: f64) -> f64 {
        LEFT + self.x.place(figure) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, figure: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(figure) * (HEIGHT - TOP - BOTTOM)
    }

    fn push(&mut self, part: impl Display) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.svg, "{part}");
    }
}
