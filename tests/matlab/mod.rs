//! MAT files as MATLAB writes them with `-v6`. Published datasets hold doubles; `gpunn::formats::mat::write` writes
//! compressed singles.

/// An uncompressed file, version 5, of matrices of doubles. Each has a name, height and width, and its values column by
/// column.
pub fn file(matrices: &[(&str, [usize; 2], &[f64])]) -> Vec<u8> {
    let mut file = [vec![b' '; 124], vec![0, 1, b'I', b'M']].concat();
    for (name, dims, values) in matrices {
        let parts = [
            element(6, &[6, 0, 0, 0, 0, 0, 0, 0]),
            element(5, &dims.iter().flat_map(|&d| (d as i32).to_le_bytes()).collect::<Vec<_>>()),
            element(1, name.as_bytes()),
            element(9, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>()),
        ];
        file.extend(element(14, &parts.concat()));
    }
    file
}

fn element(kind: u32, bytes: &[u8]) -> Vec<u8> {
    let mut element = [kind.to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
    element.extend(bytes);
    element.resize(element.len().next_multiple_of(8), 0);
    element
}
