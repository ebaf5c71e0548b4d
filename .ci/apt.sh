# shellcheck shell=sh
# For scripts that unpack a package of this or a later release of the distribution into a folder,
# through the machine's own apt sources with the release's name replaced; apt checks the signatures.
# Nothing is installed. Sourced with $dir set; everything happens below $dir/apt.

# shellcheck source=/dev/null
. /etc/os-release

# Writes the machine's apt sources to $dir/apt/parts, made to name release $1. Both formats, one-line
# (*.list) and deb822 (*.sources), name the release as a word, alone or before -updates, -security.
# With $2 they ask for source packages, too.
copy_sources() {
  rm -rf "$dir/apt"
  mkdir -p "$dir/apt/parts" "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ -r "$file" ]; then
      # Twice, since neighbours share the space between them.
      replace="s/(^|[[:space:]])$VERSION_CODENAME([-[:space:]]|\$)/\\1$1\\2/g"
      sources=
      [ -z "${2:-}" ] || sources='s/^Types:.*/Types: deb-src/; s/^deb([[:space:]])/deb-src\1/'
      sed -E "$replace; $replace; $sources" "$file" >"$dir/apt/parts/$(basename "$file")"
    fi
  done
}

with_apt() {
  apt-get --quiet --quiet -o Dir::Etc::SourceList=/dev/null \
    -o Dir::Etc::SourceParts="$dir/apt/parts" -o Dir::State::Lists="$dir/apt/lists" \
    -o Dir::Cache="$dir/apt/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
