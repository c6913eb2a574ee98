"""What root does with the files of a host: nothing by path in a folder that is another user's.

Run as `python3 -c ... files VERB WORDS`: the source comes by standard input, and after it what is
to be written, in base64; what is read goes back the same way, so that any byte survives.

A path is walked from / by descriptors (`way`). What is done in the last folder is done with the
rights of the folder's owner; a link that somebody else has made, or could have put there, is
followed with that user's rights, and all that comes after it has no others (`rights`).
"""
