"""Files that are whole or not there, in a folder or in object storage, and what nodes hand each other through it."""
