# Completion of plyfs for bash: subcommands and their options, mount options, directories.
# shellcheck shell=bash

# Words that begin with what is being typed.
_plyfs_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2"); }
_plyfs_paths() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen "$1" -- "$2"); }

_plyfs_mount() {
  local current=$1 previous=$2
  if [[ $previous == -o ]]; then
    compopt -o nospace 2>/dev/null
    _plyfs_words 'lowerdir= upperdir= workdir= redirect_dir=on volatile fsync=0 journal=off uidmapping= gidmapping=
      squash_to_root squash_to_uid= squash_to_gid= xattr_permissions= noacl noxattrs=1 context= static_nlink ino32_t
      timeout= threads= writeback=1 max_write= allow_other ro' "$current"
  elif [[ $current == -* ]]; then
    _plyfs_words '-f -d -s -o --debug --help --version' "$current"
  else
    _plyfs_paths -d "$current"
  fi
}

# The checkpoints of the first directory among the words.
_plyfs_checkpoints() {
  local word
  for word in "${COMP_WORDS[@]:2}"; do
    [[ -d $word ]] || continue
    _plyfs_words "$(timeout 2 plyfs checkpoint list "$word" 2>/dev/null | cut -d ' ' -f 3)" "$1"
    return
  done
}

_plyfs() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]:-}
  local word layers='--upper --work --lower --help' options=''
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
    _plyfs_paths -d "$current"
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W 'changes diff apply checkpoint watch fsck stats' -- "$current")
    return
  fi
  case $command in
    changes) options="--since --json $layers" ;;
    diff) options="--since --output --compress $layers" ;;
    apply) options='--help' ;;
    checkpoint) options="--json $layers" ;;
    watch) options='--since --json --help' ;;
    fsck) options="--repair --json $layers" ;;
    stats) options='--json --prometheus --help' ;;
    *) _plyfs_mount "$current" "$previous"; return ;;
  esac
  case $previous in
    --compress) _plyfs_words 'none gzip zstd' "$current"; return ;;
    --output|-o) _plyfs_paths -f "$current"; return ;;
    --since) [[ $command == watch ]] || _plyfs_checkpoints "$current"; return ;;
    --upper|--work|--lower) _plyfs_paths -d "$current"; return ;;
  esac
  if [[ $current == -* ]]; then
    _plyfs_words "$options" "$current"
  elif [[ $command == checkpoint && $COMP_CWORD -eq 2 ]]; then
    _plyfs_words 'create list delete' "$current"
  elif [[ $command == apply && $COMP_CWORD -eq 2 ]]; then
    _plyfs_paths -f "$current"
  else
    _plyfs_paths -d "$current"
  fi
}

complete -F _plyfs plyfs
