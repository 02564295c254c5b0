//! The operators of a file in order, with the values that it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{attributes, tensors};
use crate::formats::onnx::{Message, Model, Node, Size, Value, element};
use crate::nn::operators::{Attribute, Known, Operator};
use crate::{Error, Result};

/// The newest version of ONNX's operators whose rules are known.
const NEWEST_OPSET: i64 = 28;

/// The most elements of all tensors: 4 GiB as 32-bit floats.
const MOST_ELEMENTS: usize = 1 << 30;

/// An input of a file that it holds no value for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub data_type: i32,
    /// Its sizes. `None` for one that is known only when the network runs. The whole is `None` if the file does not say it.
    pub dims: Option<Vec<Option<usize>>>,
}

/// As in `image: any x 3 x 224 x 224 float`.
impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = |size: &Option<usize>| size.map_or_else(|| "any".into(), |size| size.to_string());
        let dims = self.dims.as_ref().map(|dims| dims.iter().map(size).collect::<Vec<_>>().join(" x "));
        write!(f, "{}: {} {}", self.name, dims.as_deref().unwrap_or("any shape"), tensors::type_name(self.data_type))
    }
}

/// The operators of a file.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program that wrote the file.
    pub producer: String,
    /// The version of ONNX's operators.
    pub opset: i64,
    /// What the file has no values for.
    pub inputs: Vec<Input>,
    /// The names of its results.
    pub outputs: Vec<String>,
    /// The operators. Each comes after those whose outputs it reads.
    pub nodes: Vec<Operator>,
    /// The values that the file holds, by name.
    pub tensors: BTreeMap<String, Known>,
    /// Further data, as pairs.
    pub metadata: BTreeMap<String, String>,
    /// What cannot be read: each a sentence without its full stop.
    pub problems: Vec<String>,
}

impl Program {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read; [`Error::Data`] when it is not an ONNX file, or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || Error::file("cannot read the ONNX file", path);
        let file = std::fs::File::open(path).map_err(cannot())?;
        if file.metadata().map_err(cannot())?.is_dir() {
            return Err(Error::usage(format!("{} is a folder, not an ONNX file.", path.display())));
        }
        let bytes = crate::files::map(&file).map_err(cannot())?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&bytes, &path.display().to_string(), Some(folder))
    }

    /// Reads the bytes of a file, which messages call `origin`. Other files that it names are looked for in `folder`.
    ///
    /// # Errors
    /// [`Error::Data`] when it is not an ONNX file, or is damaged.
    pub fn parse(bytes: &[u8], origin: &str, folder: Option<&Path>) -> Result<Self> {
        let wrong = |reason: String| Error::data(format!("{origin} is not a usable ONNX file: {reason}."));
        let model = Model::decode(bytes).map_err(|error| wrong(format!("it cannot be decoded ({error})")))?;
        Self::of(model, folder).map_err(wrong)
    }

    fn of(model: Model, folder: Option<&Path>) -> Result<Self, String> {
        let graph = model.graph.ok_or("it has no graph")?;
        let opset = model.opset_import.iter().find(|set| is_own(&set.domain)).map_or(1, |set| set.version);
        if !(1..=NEWEST_OPSET).contains(&opset) {
            return Err(format!("its operators have version {opset}, but versions up to {NEWEST_OPSET} are known"));
        }
        let mut program = Self {
            producer: [model.producer_name, model.producer_version].join(" ").trim().to_owned(),
            opset,
            inputs: Vec::new(),
            outputs: graph.output.iter().map(|value| value.name.clone()).collect(),
            nodes: Vec::new(),
            tensors: BTreeMap::new(),
            metadata: model.metadata_props.into_iter().map(|entry| (entry.key, entry.value)).collect(),
            problems: Vec::new(),
        };
        let mut types = BTreeMap::new();
        let mut elements = 0_usize;
        for tensor in &graph.initializer {
            // Several tensors may name the same place of another file.
            let own = tensor.dims.iter().fold(1_usize, |product, &size| product.saturating_mul(size.max(0) as usize));
            elements = elements.saturating_add(own);
            let known = match elements {
                0..=MOST_ELEMENTS => tensors::read(tensor, folder),
                _ => Err(format!("with it, the file's tensors have more than {MOST_ELEMENTS} elements")),
            };
            types.insert(tensor.name.clone(), tensor.data_type);
            match known {
                Ok(known) => drop(program.tensors.insert(tensor.name.clone(), known)),
                Err(reason) => return Err(format!("the tensor `{}` is wrong: {reason}", tensor.name)),
            }
        }
        if !graph.sparse_initializer.is_empty() {
            program.problems.push("sparse tensors are not supported".into());
        }
        // Old files list the tensors that have values among the inputs.
        let inputs = graph.input.iter().filter(|input| !program.tensors.contains_key(&input.name));
        program.inputs = inputs.map(input).collect();
        types.extend(program.inputs.iter().map(|input| (input.name.clone(), input.data_type)));
        let own: BTreeSet<String> = model.functions.into_iter().map(|function| function.name).collect();
        let mut given: BTreeSet<String> =
            program.tensors.keys().cloned().chain(program.inputs.iter().map(|input| input.name.clone())).collect();
        for node in graph.node {
            program.add(node, &mut given, &mut types, &own)?;
        }
        if let Some(output) = program.outputs.iter().find(|output| !given.contains(*output)) {
            return Err(format!("nothing gives its output `{output}`"));
        }
        Ok(program)
    }

    /// Adds a node. `given` has the names of all values before it, `types` the types of elements that are known.
    fn add(
        &mut self,
        node: Node,
        given: &mut BTreeSet<String>,
        types: &mut BTreeMap<String, i32>,
        own: &BTreeSet<String>,
    ) -> Result<(), String> {
        let mut operator = Operator {
            op: node.op_type.clone(),
            name: node.name.clone(),
            inputs: node.input.clone(),
            outputs: node.output.clone(),
            attributes: BTreeMap::new(),
        };
        if let Some(missing) = node.input.iter().find(|input| !input.is_empty() && !given.contains(*input)) {
            return Err(format!(
                "{operator} reads `{missing}`, but no input, tensor or operator before it gives that value (a cycle has none)"
            ));
        }
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if !given.insert(output.clone()) {
                return Err(format!("two operators give the value `{output}`"));
            }
        }
        if !is_own(&node.domain) || own.contains(&node.op_type) {
            let domain = if node.domain.is_empty() { "the file itself" } else { node.domain.as_str() };
            self.problems.push(format!("{operator}: operators of {domain} are not supported"));
        }
        if node.op_type == "Constant" {
            match (attributes::constant(&node), node.output.first()) {
                (Ok(known), Some(output)) => drop(self.tensors.insert(output.clone(), known)),
                (Err(reason), _) => self.problems.push(format!("{operator}: {reason}")),
                _ => return Err(format!("{operator} has no output")),
            }
            let of_tensor = node.attribute.first().and_then(|attribute| attribute.t.as_ref());
            types.extend(of_tensor.and_then(|tensor| Some((node.output.first()?.clone(), tensor.data_type))));
            return Ok(());
        }
        match attributes::read(&node) {
            Ok(read) => operator.attributes = read,
            Err(reason) => self.problems.push(format!("{operator}: {reason}")),
        }
        // What a number is rounded to is told by the type of the zero point, which values do not have here.
        let zero = node.input.get(2).and_then(|name| types.get(name));
        if let ("QuantizeLinear", Some(&zero)) = (node.op_type.as_str(), zero) {
            operator.attributes.entry("output_dtype".into()).or_insert(Attribute::Int(zero.into()));
        }
        self.nodes.push(operator);
        Ok(())
    }
}

/// Whether a domain is that of ONNX's own operators.
fn is_own(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn input(value: &Value) -> Input {
    let tensor = value.ty.as_ref().and_then(|ty| ty.tensor.as_ref());
    let size = |size: &Option<Size>| match size {
        Some(Size::Known(size)) => usize::try_from(*size).ok().filter(|&size| size > 0),
        _ => None,
    };
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    Input {
        name: value.name.clone(),
        data_type: tensor.map_or(element::FLOAT, |tensor| tensor.elem_type),
        dims: shape.map(|shape| shape.dim.iter().map(|dimension| size(&dimension.size)).collect()),
    }
}
