"""Answers a question with a LangChain chain over the library in ``knowledge/``."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough

from rag.integrations.langchain import open_library

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer from the numbered passages only."),
        ("human", "{passages}\n\nQuestion: {question}"),
    ]
)


def numbered(documents):
    return "\n\n".join(
        f"[{n}] {found.metadata['file']}, page {found.metadata['page']}\n{found.page_content}"
        for n, found in enumerate(documents, start=1)
    )


with open_library("knowledge") as library:  # what `rag sync` has read
    chain = (
        {"passages": library.retriever(k=3) | numbered, "question": RunnablePassthrough()}
        | PROMPT
        | library.chat_model()
        | StrOutputParser()
    )
    for piece in chain.stream("Who pays the heating costs?"):
        print(piece, end="", flush=True)
