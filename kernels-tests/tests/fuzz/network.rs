//! Random networks as TOML.

use gpunn::nn::Activation;

use crate::fuzzing::Dice;

/// A network, and the images for it.
#[derive(Debug)]
pub struct Network {
    /// Channels, height and width.
    pub input: [usize; 3],
    pub classes: usize,
    pub seed: u64,
    pub toml: String,
}

impl Network {
    /// A network of two to eight layers before the last one. Its layers may not fit together.
    pub fn of(dice: &mut Dice) -> Self {
        let input = [*dice.one_of(&[1, 3]), 3 + dice.below(14), 3 + dice.below(14)];
        let mut layers = Layers { dice, channels: input[0], list: Vec::new() };
        for _ in 0..2 + layers.dice.below(7) {
            layers.any(2);
        }
        let mut list = layers.list;
        list.push(kind(dice.one_of::<&str>(&["flatten", "global-average-pool", "global-max-pool"])));
        list.push("{ kind = \"classes\" }".into());
        let init = *dice.one_of(&["pytorch", "xavier", "he", "dirac"]);
        let toml = format!("init = \"{init}\"\nlayer = [\n    {},\n]\n", list.join(",\n    "));
        Self { input, classes: 2 + dice.below(4), seed: dice.below(1 << 20) as u64, toml }
    }
}

fn kind(kind: &str) -> String {
    format!("{{ kind = \"{kind}\" }}")
}

/// Layers that are being written.
struct Layers<'a> {
    dice: &'a mut Dice,
    /// The channels after them.
    channels: usize,
    list: Vec<String>,
}

impl Layers<'_> {
    /// A number from `least` on, or a pair of them.
    fn side(&mut self, least: usize, count: usize) -> String {
        let (one, other) = (least + self.dice.below(count), least + self.dice.below(count));
        if self.dice.once_in(3) { format!("[{one}, {other}]") } else { one.to_string() }
    }

    /// Any layer. Blocks have `depth` levels of blocks in them.
    fn any(&mut self, depth: usize) {
        match self.dice.below(16) {
            0..5 => self.convolution(),
            5 => self.transposed(),
            6 => self.list.push(kind("batch-norm")),
            7 | 8 => self.activation(),
            9 => self.pool(),
            10 => {
                let rate = *self.dice.one_of(&["0.0", "0.1", "0.5"]);
                self.list.push(format!("{{ kind = \"dropout\", rate = {rate} }}"));
            }
            11 => {
                let factor = *self.dice.one_of(&["0.5", "-1.0", "2.0"]);
                self.list.push(format!("{{ kind = \"scale\", factor = {factor} }}"));
            }
            12 => {
                let (size, how) = (self.side(1, 14), *self.dice.one_of(&["nearest", "bilinear"]));
                self.list.push(format!("{{ kind = \"resize\", size = {size}, interpolation = \"{how}\" }}"));
            }
            13 | 14 if depth > 0 => self.residual(depth - 1),
            15 if depth > 0 => self.branches(depth - 1),
            _ => self.convolution(),
        }
    }

    fn convolution(&mut self) {
        let groups = if self.dice.once_in(3) { *self.dice.one_of(&[self.channels, 2, 3]) } else { 1 };
        let (kernel, stride) = (self.side(1, 5), self.side(1, 3));
        let (padding, dilation) = (self.side(0, 4), self.side(1, 2));
        self.channels = groups * (1 + self.dice.below(9));
        let bias = self.dice.once_in(2);
        self.list.push(format!(
            "{{ kind = \"conv2d\", outputs = {}, kernel = {kernel}, stride = {stride}, padding = {padding}, dilation = {dilation}, \
             groups = {groups}, bias = {bias} }}",
            self.channels
        ));
    }

    fn transposed(&mut self) {
        self.channels = 1 + self.dice.below(9);
        let (kernel, stride, padding) = (self.side(1, 4), self.side(1, 3), self.side(0, 2));
        let extra = self.side(0, 2);
        self.list.push(format!(
            "{{ kind = \"conv-transpose2d\", outputs = {}, kernel = {kernel}, stride = {stride}, padding = {padding}, \
             output_padding = {extra} }}",
            self.channels
        ));
    }

    fn activation(&mut self) {
        let names = Activation::NAMES.map(|(name, _)| name);
        let name = kind(self.dice.one_of::<&str>(&names));
        self.list.push(name);
    }

    fn pool(&mut self) {
        let pool = *self.dice.one_of(&["max-pool", "average-pool"]);
        let (kernel, stride, padding) = (self.side(1, 3), self.side(1, 3), self.side(0, 2));
        let ceil = self.dice.once_in(2);
        self.list.push(format!(
            "{{ kind = \"{pool}\", kernel = {kernel}, stride = {stride}, padding = {padding}, ceil = {ceil} }}"
        ));
    }

    /// A layer of another number of channels and the same size.
    fn same_size(&mut self, outputs: usize) -> String {
        let side = *self.dice.one_of(&[1, 3, 5]);
        format!("{{ kind = \"conv2d\", outputs = {outputs}, kernel = {side}, padding = {} }}", side / 2)
    }

    fn inside(&mut self, channels: usize) -> Layers<'_> {
        Layers { dice: self.dice, channels, list: Vec::new() }
    }

    fn residual(&mut self, depth: usize) {
        let outputs = if self.dice.once_in(2) { self.channels } else { 1 + self.dice.below(9) };
        let mut body = self.inside(self.channels);
        for _ in 0..body.dice.below(3) {
            match body.dice.below(4) {
                0 => body.list.push(kind("batch-norm")),
                1 => body.activation(),
                2 if depth > 0 => body.residual(depth - 1),
                _ => {
                    body.channels = 1 + body.dice.below(9);
                    let layer = body.same_size(body.channels);
                    body.list.push(layer);
                }
            }
        }
        let last = body.same_size(outputs);
        let list = [body.list, vec![last]].concat().join(", ");
        let shortcut = if outputs == self.channels { String::new() } else { self.same_size(outputs) };
        let activation = if self.dice.once_in(2) { "activation = \"relu\", " } else { "" };
        self.list.push(format!("{{ kind = \"residual\", {activation}layers = [{list}], shortcut = [{shortcut}] }}"));
        self.channels = outputs;
    }

    fn branches(&mut self, depth: usize) {
        let mut all = Vec::new();
        let mut channels = 0;
        for _ in 0..2 + self.dice.below(2) {
            let outputs = 1 + self.dice.below(5);
            let layer = self.same_size(outputs);
            let mut branch = self.inside(outputs);
            branch.list.push(layer);
            match branch.dice.below(4) {
                0 => branch.activation(),
                1 if depth > 0 => branch.residual(depth - 1),
                _ => {}
            }
            channels += branch.channels;
            all.push(format!("[{}]", branch.list.join(", ")));
        }
        self.list.push(format!("{{ kind = \"branches\", branches = [{}] }}", all.join(", ")));
        self.channels = channels;
    }
}
